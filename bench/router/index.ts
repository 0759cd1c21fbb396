/**
 * Switchyard's router beside nginx, HAProxy, Caddy (all from Debian) and the http-proxy package: `npm run bench:router`.
 * Proxy on one core, load and backend on the other; rounds interleaved; the figure is requests per CPU-second of the proxy, and every
 * ratio is one of medians to nginx's in the same run. Ours has everything on (access log, metrics, rules, 10,000 routes), nginx nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { underAttack } from './attacks'
import { cutovers } from './cutover'
import { makeFixtures } from './fixtures'
import { run } from './processes'
import { startBackend, startCaddy, startHaproxy, startNginxProxy, startRouter } from './proxies'
import { growth, halfOfSaturation, idleConnections, type Report, rates } from './scenarios'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    /** Comma-separated names of scenarios; default all. */
    only: { type: 'string', default: '' },
    routes: { type: 'string', default: '10000' },
  },
})

async function main(): Promise<void> {
  await run(
    0,
    ['node', 'scripts/system-packages.mjs', 'wrk', 'nginx-light', 'haproxy', 'caddy', 'nghttp2-client', 'slowhttptest', 'openssl'],
    600_000,
  )
  const directory = mkdtempSync(path.join(tmpdir(), 'switchyard-bench-router-'))
  const stops: (() => Promise<void>)[] = []
  const keep = <T extends { stop(): Promise<void> }>(running: T): T => {
    stops.push(running.stop)
    return running
  }
  const only = values.only ? values.only.split(',') : null
  const settings = { rounds: Number(values.rounds), seconds: Number(values.seconds), wanted: (name: string) => only === null || only.includes(name) }
  try {
    const fixtures = makeFixtures(directory)
    const backend = keep(await startBackend(fixtures))
    const routes = Number(values.routes)
    const ours = keep(await startRouter(fixtures, backend.ports, { name: 'switchyard', engine: 'lean', routes }))
    const reference = keep(await startRouter(fixtures, backend.ports, { name: 'http-proxy', engine: 'http-proxy', routes }))
    const nginx = keep(await startNginxProxy(fixtures, backend.ports))
    const careful = keep(await startNginxProxy(fixtures, backend.ports, 'careful'))
    const haproxy = keep(await startHaproxy(fixtures, backend.ports))
    const caddy = keep(await startCaddy(fixtures, backend.ports))
    const cast = { ours, reference, nginx, careful, haproxy, caddy }
    const reports: Report[] = [
      ...(await rates(cast, settings)),
      ...(await halfOfSaturation(cast, settings)),
      ...(await idleConnections(cast, settings)),
      ...(await underAttack(cast, settings)),
      ...(await cutovers(fixtures, backend.ports, settings)),
      ...(await growth(fixtures, backend.ports, settings)),
    ]
    process.stdout.write(`${JSON.stringify({ rounds: settings.rounds, seconds: settings.seconds, routes, reports })}\n`)
    const missed = reports.filter((report) => report.met === false)
    process.stdout.write(missed.length === 0 ? 'every bar met\n' : `below the bar: ${missed.map((r) => `${r.scenario} (${r.who})`).join(', ')}\n`)
    process.exitCode = missed.length === 0 ? 0 : 1
  } finally {
    for (const stop of stops.reverse()) await stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

await main()
