// How long a rollback takes from the call to the first answer of the old version, and what visitors notice. See README.md.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { main } from '../scripts/support/run.mjs'
import { median, note, options, Stop, sleep, startPlatform } from './support.mjs'

const { rollbacks, connections, runtime } = options({ rollbacks: 100, connections: 16, runtime: 'process' })

const server = (version) => `
const http = require('node:http')
const server = http.createServer((request, response) => {
  request.resume()
  request.on('end', () => response.end('version ${version}'))
})
server.listen(process.env.PORT, process.env.HOST)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`

/** One request over a kept connection; every twentieth is a POST. */
function ask(platform, agent, host, method) {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: platform.edgePort, method, agent, headers: { host }, timeout: 10_000 }
    const req = request(options, (res) => {
      let body = ''
      res.on('data', (chunk) => {
        body += chunk
      })
      res.on('end', () => resolve({ status: res.statusCode, body }))
      res.on('error', (error) => resolve({ status: 0, body: error.message }))
    })
    req.on('timeout', () => req.destroy(new Error('no answer within 10 s')))
    req.on('error', (error) => resolve({ status: 0, body: error.message }))
    req.end(method === 'POST' ? 'hello' : undefined)
  })
}

function startLoad(platform, host) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const seen = { requests: 0, failed: [] }
  let stopped = false
  const workers = Array.from({ length: connections }, async () => {
    while (!stopped) {
      seen.requests++
      const answer = await ask(platform, agent, host, seen.requests % 20 === 0 ? 'POST' : 'GET')
      if (answer.status !== 200) seen.failed.push(`${answer.status} ${answer.body.slice(0, 100)}`)
    }
  })
  return {
    async stop() {
      stopped = true
      await Promise.all(workers)
      agent.destroy()
      return seen
    },
  }
}

await main(async () => {
  const platform = await startPlatform(runtime)
  const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-bench-'))
  const project = `rollback-${process.pid}`
  const host = `${project}.localhost:${platform.edgePort}`
  const call = async (method, route, body) => {
    const headers = { authorization: `Bearer ${platform.token}`, 'content-type': 'application/json' }
    const answer = await fetch(`${platform.api}/api/v1${route}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    const value = await answer.json()
    if (!answer.ok) throw new Stop(`${method} ${route}: ${answer.status} ${JSON.stringify(value)}`)
    return value
  }
  const deploy = async (version) => {
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'tiny', private: true, scripts: { start: 'node server.js' } }))
    writeFileSync(path.join(folder, 'server.js'), server(version))
    return (await platform.deploy(folder, project)).result.deploymentId
  }
  const isFrozen = async () => (await call('GET', `/projects/${project}/instances`)).items.some(({ state }) => state === 'sleeping')
  try {
    // The deployment to go back to next, by the version that it serves.
    const origin = { a: await deploy('a'), b: await deploy('b') }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const times = []
    const parts = { wake: [], health: [], cutover: [] }
    const load = startLoad(platform, host)
    for (let i = 0; i < rollbacks; i++) {
      while (!(await isFrozen())) await sleep(50)
      const to = i % 2 === 0 ? 'a' : 'b'
      const begin = performance.now()
      const { deploymentId } = await call('POST', `/deployments/${origin[to]}/rollback`, {})
      for (;;) {
        const answer = await ask(platform, agent, host, 'GET')
        if (answer.body === `version ${to}`) break
        if (performance.now() - begin > 30_000) throw new Stop(`rollback ${i + 1} is not live after 30 s: ${answer.status} ${answer.body}`)
      }
      times.push(performance.now() - begin)
      for (;;) {
        const view = await call('GET', `/deployments/${deploymentId}`)
        if (view.status === 'FAILED') throw new Stop(`rollback ${i + 1} failed: ${JSON.stringify(view.error)}`)
        if (view.status === 'ACTIVE') {
          for (const name of Object.keys(parts)) parts[name].push(view.timings[name] ?? 0)
          break
        }
        await sleep(20)
      }
      origin[to] = deploymentId
      if ((i + 1) % 10 === 0) note(`${i + 1}/${rollbacks}: median ${Math.round(median(times))} ms`)
    }
    const { requests, failed } = await load.stop()
    agent.destroy()
    const sorted = [...times].sort((a, b) => a - b)
    const at = (part) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))])
    const steps = Object.fromEntries(Object.entries(parts).map(([name, values]) => [name, Math.round(median(values))]))
    console.log(
      JSON.stringify({ runtime, rollbacks, connections, medianMs: at(0.5), p95Ms: at(0.95), maxMs: at(1), steps, requests, failed: failed.length }),
    )
    for (const one of failed.slice(0, 10)) console.log(one)
    if (failed.length > 0) process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await platform.stop()
  }
})
