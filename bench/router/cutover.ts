import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { RouteTable } from '@/shared/route-table'
import { type Fixtures, host, makeTable } from './fixtures'
import { median } from './measure'
import { type Contender, loadCore, startRouter } from './proxies'
import type { Report, Settings } from './scenarios'

const calmMs = 2_000
/** After an acknowledgement the worker still stores and tidies up. */
const settleMs = 1_500

const say = (text: string) => process.stdout.write(`${text}\n`)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const share = (sorted: readonly number[], part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN

interface Case {
  routes: number
  /** A cutover changes one project's targets; a new version of ours, or a restored database, may change everything. */
  changes: 'one' | 'all'
  /** Most milliseconds an answer may take beyond the slowest while nothing is published. */
  bar: number
}

const cases: Case[] = [
  { routes: 100, changes: 'all', bar: 10 },
  { routes: 10_000, changes: 'one', bar: 10 },
  { routes: 10_000, changes: 'all', bar: 20 },
  { routes: 100_000, changes: 'one', bar: 30 },
  { routes: 100_000, changes: 'all', bar: 60 },
]

/** What a steady trickle of visitors feels of new route tables, and how long a table takes until it is acknowledged. */
export async function cutovers(fixtures: Fixtures, backends: number[], settings: Settings): Promise<Report[]> {
  if (!settings.wanted('cutover')) return []
  say('\ncutover   routes  changed   calm p99      max   publishing p99      max   until acknowledged')
  const reports: Report[] = []
  for (const one of cases) reports.push(await measured(one, fixtures, backends, settings.rounds))
  return reports
}

async function measured({ routes, changes, bar }: Case, fixtures: Fixtures, backends: number[], rounds: number): Promise<Report> {
  const proxy = await startRouter(fixtures, backends, { name: `cutover-${routes}-${changes}`, engine: 'lean', routes })
  const visitor = startTrickle(proxy)
  try {
    const base = makeTable(fixtures, routes, backends, proxy.httpsPort)
    await pause(calmMs)
    await latenciesOf(visitor)
    await pause(calmMs)
    const calm = await latenciesOf(visitor)
    const took: number[] = []
    for (let version = 2; version < rounds + 2; version++) {
      const table = changed(base, changes, version)
      await pause(settleMs)
      const start = performance.now()
      await proxy.hub.publish(table, { deadlineMs: 60_000 })
      took.push(performance.now() - start)
      await pause(settleMs)
    }
    const during = await latenciesOf(visitor)
    const [calmMost, most] = [share(calm, 1), share(during, 1)]
    const middle = median(took)
    const figures = [share(calm, 0.99), calmMost, share(during, 0.99), most].map((ms) => ms.toFixed(1))
    const met = most <= calmMost + bar
    say(
      [
        String(routes).padStart(16),
        changes.padStart(9),
        ...[11, 9, 17, 9].map((width, i) => figures[i]?.padStart(width)),
        `${middle.toFixed(0)} ms`.padStart(21),
      ].join('') + (met ? '' : `   (bar: ${bar} ms beyond calm)`),
    )
    const note = `p99 ${figures[2]} ms; calm ${figures[1]} ms; acknowledged after ${middle.toFixed(0)} ms`
    return { scenario: `cutover ${routes} ${changes}`, who: 'switchyard', figure: most, unit: 'ms', ratio: null, met, note }
  } finally {
    visitor.kill('SIGKILL')
    await proxy.stop()
  }
}

/** A table as after a deployment of the project in its middle, or of every one. */
function changed(table: RouteTable, changes: Case['changes'], version: number): RouteTable {
  const middle = Math.floor(table.routes.length / 2)
  const routes = table.routes.map((route, i) =>
    changes === 'one' && i !== middle
      ? route
      : { ...route, targets: route.targets.map((target) => ({ ...target, instanceId: `${target.instanceId}-${version}` })) },
  )
  return { ...table, version, generatedAt: new Date().toISOString(), routes }
}

function startTrickle(proxy: Contender): ChildProcess {
  const script = [process.execPath, ...process.execArgv, 'bench/router/trickle.ts', String(proxy.httpPort), host]
  return spawn('taskset', ['-c', String(loadCore), ...script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** Milliseconds of every answer since the last time, the slowest last. */
async function latenciesOf(visitor: ChildProcess): Promise<number[]> {
  const answer = once(visitor, 'message')
  visitor.send('latencies')
  const [latencies] = (await answer) as [number[]]
  return latencies.toSorted((a, b) => a - b)
}
