// Failed requests while an app is redeployed under constant load. See README.md.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { main } from '../scripts/support/run.mjs'
import { copyExample, median, note, options, Stop, startGroup, startPlatform } from './support.mjs'

const { redeploys, connections, runtime, example } = options({ redeploys: 20, connections: 32, runtime: 'docker', example: 'fastify' })

function startLoad(platform, project) {
  const url = `http://127.0.0.1:${platform.edgePort}/`
  const argv = [
    'wrk',
    '-t',
    '1',
    '-c',
    String(connections),
    '-d',
    '3600s',
    '--timeout',
    '10s',
    '--latency',
    '-H',
    `Host: ${project}.localhost:${platform.edgePort}`,
    url,
  ]
  const child = startGroup(argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  const ended = new Promise((resolve, reject) => {
    child.once('error', () => reject(new Stop('wrk cannot be started.', 'Install it: apt-get install wrk')))
    child.once('close', () => resolve(output))
  })
  ended.catch(() => {})
  return {
    stop: () => {
      // wrk prints what it has counted when it is interrupted.
      child.kill('SIGINT')
      return ended
    },
  }
}

/** wrk prints these lines only when there is something to say. */
function parseLoad(text) {
  const requests = Number(/(\d+) requests in/.exec(text)?.[1])
  if (!Number.isFinite(requests)) throw new Stop(`wrk printed no result:\n${text}`)
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  const [connect, read, write, timeout] = sockets ? sockets.slice(1).map(Number) : [0, 0, 0, 0]
  const status = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0)
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1])
  const p99 = /99%\s+(\S+)/.exec(text)?.[1] ?? null
  return { requests, perSecond, p99, failed: connect + read + write + timeout + status, connect, read, write, timeout, status }
}

await main(async () => {
  const platform = await startPlatform(runtime)
  const app = copyExample(example)
  const project = `redeploy-${process.pid}`
  const file = path.join(app.folder, example === 'html' ? 'index.html' : example === 'nextjs' ? 'app/page.jsx' : 'server.js')
  const original = readFileSync(file, 'utf8')
  try {
    await platform.deploy(app.folder, project)
    const load = startLoad(platform, project)
    const times = []
    try {
      for (let i = 1; i <= redeploys; i++) {
        writeFileSync(file, `${original}${file.endsWith('.html') ? `<!-- version ${i} -->` : `// version ${i}`}\n`)
        const { ms } = await platform.deploy(app.folder, project)
        times.push(Math.round(ms))
        note(`redeploy ${i}/${redeploys}: ${Math.round(ms)} ms`)
      }
    } finally {
      const text = await load.stop()
      note(text)
      const result = parseLoad(text)
      console.log(
        JSON.stringify({ example, runtime, redeploys: times.length, connections, medianRedeployMs: times.length ? median(times) : null, ...result }),
      )
      console.log(`${result.failed} failed of ${result.requests} requests during ${times.length} redeploys`)
      if (result.failed > 0) process.exitCode = 1
    }
  } finally {
    app.cleanUp()
    await platform.stop()
  }
})
