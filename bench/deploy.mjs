// From `deploy` to live, beside plain `docker build` + `docker run` of the same app, in the same run. See README.md.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { childEnv, main } from '../scripts/support/run.mjs'
import { copyExample, freePorts, get, median, note, options, run, Stop, sleep, startPlatform } from './support.mjs'

const { rounds, runtime, example } = options({ rounds: 3, runtime: 'docker', example: 'nextjs' })
const runId = `${process.pid}-${Date.now()}`
const kinds = ['cold', 'warm', 'unchanged']
// What the same person would write for the same app.
const dockerfile = `FROM switchyard/node:24
WORKDIR /app
COPY package*.json ./
RUN npm ci
COPY . .
RUN npm run build
ENV PORT=3000
EXPOSE 3000
CMD ["npm", "start"]
`

/** A docker client with BuildKit: built in before 23, by the buildx plugin since. The legacy builder is much slower and would flatter us. */
async function dockerClient() {
  for (const binary of ['docker', '/usr/bin/docker']) {
    const version = await run([binary, 'version', '--format', '{{.Client.Version}}'], { capture: true, deadlineMs: 20_000 })
    if (!version.ok) continue
    const buildx = await run([binary, 'buildx', 'version'], { capture: true, deadlineMs: 20_000 })
    if (buildx.ok || Number.parseInt(version.output, 10) < 23) return { binary, version: version.output.trim() }
  }
  throw new Stop('No docker client with BuildKit answers.', 'Install docker.io (Debian) and start dockerd: node scripts/dockerd.mjs start')
}

async function dockerRound(docker, folder, tag, noCache) {
  const env = childEnv({ DOCKER_BUILDKIT: '1' })
  const [port] = await freePorts(1)
  const begin = performance.now()
  const build = await run([docker, 'build', ...(noCache ? ['--no-cache'] : []), '-q', '-t', tag, folder], {
    capture: true,
    env,
    deadlineMs: 10 * 60_000,
  })
  if (!build.ok) throw new Stop(`docker build failed:\n${build.output.slice(-2000)}`)
  const buildMs = performance.now() - begin
  const started = await run([docker, 'run', '-d', '-p', `127.0.0.1:${port}:3000`, '--name', tag, tag], { capture: true, env, deadlineMs: 60_000 })
  if (!started.ok) throw new Stop(`docker run failed:\n${started.output}`)
  try {
    const deadline = Date.now() + 60_000
    while ((await get(port))?.status !== 200) {
      if (Date.now() > deadline) throw new Stop('The container did not answer 200 within 60 s.')
      await sleep(5)
    }
    return { ms: performance.now() - begin, buildMs }
  } finally {
    await run([docker, 'rm', '-f', tag], { capture: true, deadlineMs: 60_000 })
  }
}

function change(folder, label) {
  const file = path.join(folder, example === 'nextjs' ? 'app/page.jsx' : 'server.js')
  const text = readFileSync(file, 'utf8').replace(/\n\/\/ change .*\n?$/, '\n')
  const visible = text.replace(/Make it yours[^<]*/, `Make it yours ${label}`)
  // The engine remembers earlier runs too: an edit it has seen would be unchanged, not warm.
  writeFileSync(file, `${visible.trimEnd()}\n// change ${label} of run ${runId}\n`)
}

/**
 * Nothing is removed between rounds. ext4 gives a deleted inode out again after one to six minutes only, and whoever creates a file
 * nearby looks at each of them: a project of 11,000 files removed before a round makes the next install on that side 5 to 8 s slower.
 */
async function measure(platform, docker, cleanUps) {
  const samples = []
  for (let round = 1; round <= rounds; round++) {
    const ours = copyExample(example)
    const theirs = copyExample(example)
    const project = `bench-${process.pid}-${round}`
    const tag = `switchyard-bench-${process.pid}-${round}`
    cleanUps.push(ours.cleanUp, theirs.cleanUp, () => run([docker, 'rmi', '-f', tag], { capture: true, deadlineMs: 60_000 }))
    writeFileSync(path.join(theirs.folder, 'Dockerfile'), dockerfile)
    writeFileSync(path.join(theirs.folder, '.dockerignore'), 'node_modules\n.next\n')
    // Different content each round: a cache of the round before must not turn cold into unchanged.
    for (const { folder } of [ours, theirs]) change(folder, `round ${round}`)
    for (const kind of kinds) {
      if (kind === 'warm') for (const { folder } of [ours, theirs]) change(folder, `round ${round}, second`)
      const sides = [
        async () => {
          const { ms, result } = await platform.deploy(ours.folder, project)
          const visit = await platform.visit(project)
          if (visit?.status !== 200) throw new Stop(`${result.url} answered ${visit?.status}`)
          return ['switchyard', ms, result.timings]
        },
        async () => {
          const { ms, buildMs } = await dockerRound(docker, theirs.folder, tag, kind === 'cold')
          return ['docker', ms, { build: Math.round(buildMs) }]
        },
      ]
      // Who comes first alternates: the second finds a warmer page cache.
      if (round % 2 === 0) sides.reverse()
      for (const side of sides) {
        const [who, ms, detail] = await side()
        samples.push({ round, kind, who, ms: Math.round(ms), detail })
        note(`round ${round} ${kind.padEnd(9)} ${who.padEnd(10)} ${Math.round(ms)} ms  ${JSON.stringify(detail)}`)
      }
    }
  }
  return samples
}

function summarize(samples) {
  const of = (kind, who) => median(samples.filter((s) => s.kind === kind && s.who === who).map((s) => s.ms))
  return Object.fromEntries(
    kinds.map((kind) => {
      const [switchyard, docker] = [of(kind, 'switchyard'), of(kind, 'docker')]
      return [kind, { switchyardMs: switchyard, dockerMs: docker, ratio: Number((switchyard / docker).toFixed(2)) }]
    }),
  )
}

await main(async () => {
  const docker = await dockerClient()
  note(`docker client ${docker.version}; ${rounds} rounds of examples/${example} on the ${runtime} runtime`)
  const platform = await startPlatform(runtime)
  // Projects are removed by the platform's own stop.
  const cleanUps = []
  try {
    // Both sides start from the same base image, which is made once per machine.
    const warmUp = copyExample('fastify')
    cleanUps.push(warmUp.cleanUp)
    await platform.deploy(warmUp.folder, `bench-base-${process.pid}`)
    const samples = await measure(platform, docker.binary, cleanUps)
    const summary = summarize(samples)
    console.log('\n            switchyard      docker     ratio')
    for (const [kind, { switchyardMs, dockerMs, ratio }] of Object.entries(summary))
      console.log(`${kind.padEnd(10)} ${`${switchyardMs} ms`.padStart(11)} ${`${dockerMs} ms`.padStart(11)} ${ratio.toFixed(2).padStart(9)}`)
    console.log(JSON.stringify({ example, runtime, rounds, dockerClient: docker.version, summary, samples }))
  } finally {
    await platform.stop()
    for (const cleanUp of cleanUps) await cleanUp()
  }
})
