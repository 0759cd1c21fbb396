// What the benchmarks share: a platform of their own on free ports with a temporary home, the CLI, and plain HTTP.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { childEnv, isOwnAnswer, nodeBinary, root, run, Stop, sleep, startGroup, stopGroups } from '../scripts/support/run.mjs'

export { root, run, Stop, sleep, startGroup, stopGroups }

/** `--name value` pairs of the command line, over the presets. */
export function options(presets) {
  const given = { ...presets }
  const argv = process.argv.slice(2)
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i]?.replace(/^--/, '')
    if (!(name in presets) || argv[i + 1] === undefined)
      throw new Stop(
        `Unknown option ${argv[i]}.`,
        `There are: ${Object.keys(presets)
          .map((n) => `--${n}`)
          .join(' ')}`,
      )
    given[name] = typeof presets[name] === 'number' ? Number(argv[i + 1]) : argv[i + 1]
  }
  return given
}

export const note = (text) => process.stderr.write(`${text}\n`)

export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** GET on 127.0.0.1; undefined when nobody answers. */
export function get(port, pathname = '/', host = undefined) {
  return new Promise((resolve) => {
    const req = request({ host: '127.0.0.1', port, path: pathname, agent: false, timeout: 10_000, headers: host ? { host } : {} }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('end', () => resolve({ status: res.statusCode, body: Buffer.concat(chunks).toString() }))
      res.on('error', () => resolve(undefined))
    })
    req.on('timeout', () => req.destroy())
    req.on('error', () => resolve(undefined))
    req.end()
  })
}

/** A copy of an example that may be changed; removed by `cleanUp`. */
export function copyExample(name) {
  const work = mkdtempSync(path.join(tmpdir(), 'switchyard-bench-'))
  const folder = path.join(work, name)
  const leftOut = new Set(['node_modules', '.next', '.switchyard'])
  cpSync(path.join(root, 'examples', name), folder, { recursive: true, filter: (file) => !leftOut.has(path.basename(file)) })
  return { folder, cleanUp: () => rmSync(work, { recursive: true, force: true }) }
}

/** Starts dist/switchyard.mjs on an empty home. `stop` removes the projects that were made, ends it and deletes the home. */
export async function startPlatform(runtime) {
  const home = mkdtempSync(path.join(tmpdir(), 'switchyard-bench-home-'))
  // Apps and the database run as users of their own and must be able to walk through.
  const { chmodSync } = await import('node:fs')
  chmodSync(home, 0o711)
  const [port, edgePort, tlsPort] = await freePorts(3)
  const token = `sy_bench_${process.pid}_${Date.now()}`
  const env = childEnv({
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    SWITCHYARD_HOME: home,
    SWITCHYARD_RUNTIME: runtime,
    PORT: String(port),
    EDGE_HTTP_PORT: String(edgePort),
    EDGE_HTTPS_PORT: String(tlsPort),
    BASE_DOMAIN: 'localhost',
    SWITCHYARD_BOOTSTRAP_EMAIL: 'bench@example.com',
    SWITCHYARD_BOOTSTRAP_PASSWORD: 'bench-password',
    SWITCHYARD_BOOTSTRAP_API_KEY: token,
  })
  delete env.DATABASE_URL
  const child = startGroup([nodeBinary(), path.join(root, 'dist/switchyard.mjs')], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const api = `http://127.0.0.1:${port}`
  const projects = new Map()
  const removeProject = async (name) => {
    const id = projects.get(name)
    projects.delete(name)
    if (id)
      await fetch(`${api}/api/v1/projects/${id}?confirm=${encodeURIComponent(name)}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(60_000),
      }).catch(() => {})
  }
  const stop = async () => {
    await Promise.all([...projects.keys()].map(removeProject))
    child.kill('SIGTERM')
    await Promise.race([ended, sleep(60_000)])
    await stopGroups(5000)
    rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  }
  const deadline = Date.now() + 90_000
  while (!isOwnAnswer(await get(port, '/api/health'), home)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop()
      throw new Stop('The platform did not become ready.', 'Build it first: npm ci && npm run build')
    }
    await sleep(100)
  }
  /** Runs the CLI and measures from its start to its end, which is when the app is live. */
  const deploy = async (folder, project) => {
    const begin = performance.now()
    const outcome = await run([path.join(root, 'bin/switchyard'), 'deploy', folder, '--project', project, '--api', api, '--token', token, '--json'], {
      capture: true,
      deadlineMs: 10 * 60_000,
    })
    const ms = performance.now() - begin
    const line = outcome.output.split('\n').find((text) => text.startsWith('{"deploymentId"'))
    const result = line ? JSON.parse(line) : {}
    if (result.projectId) projects.set(project, result.projectId)
    if (!outcome.ok) throw new Stop(`deploy ${project} failed:\n${outcome.output.slice(-2000)}`)
    return { ms, result }
  }
  return {
    api,
    token,
    edgePort,
    home,
    deploy,
    removeProject,
    stop,
    visit: (slug, pathname = '/') => get(edgePort, pathname, `${slug}.localhost:${edgePort}`),
  }
}

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
