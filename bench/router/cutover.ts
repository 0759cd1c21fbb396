import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Fixtures, host, makeTable } from './fixtures'
import { type Contender, loadCore, startRouter } from './proxies'
import type { Report, Settings } from './scenarios'

const calmMs = 2_000
/** After an acknowledgement the worker still stores and tidies up. */
const settleMs = 1_500

const say = (text: string) => process.stdout.write(`${text}\n`)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const share = (sorted: readonly number[], part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN

/** What a steady trickle of visitors feels of new route tables, and how long a table takes until it is acknowledged. */
export async function cutovers(fixtures: Fixtures, backends: number[], settings: Settings): Promise<Report[]> {
  if (!settings.wanted('cutover')) return []
  say('\nroutes         calm p99      max   publishing p99      max   until acknowledged')
  const reports: Report[] = []
  for (const [routes, bar] of [
    [100, 10],
    [10_000, 10],
    [100_000, 30],
  ] as const) {
    const proxy = await startRouter(fixtures, backends, { name: `cutover-${routes}`, engine: 'lean', routes })
    const visitor = startTrickle(proxy)
    try {
      const tables = Array.from({ length: settings.rounds }, (_, i) => ({
        ...makeTable(fixtures, routes, backends, proxy.httpsPort),
        version: i + 2,
      }))
      await pause(calmMs)
      await latenciesOf(visitor)
      await pause(calmMs)
      const calm = await latenciesOf(visitor)
      const took: number[] = []
      for (const table of tables) {
        const start = performance.now()
        await proxy.hub.publish({ ...table, generatedAt: new Date().toISOString() }, { deadlineMs: 60_000 })
        took.push(performance.now() - start)
        await pause(settleMs)
      }
      const during = await latenciesOf(visitor)
      const [calmMost, most] = [share(calm, 1), share(during, 1)]
      const middle = share(
        took.toSorted((a, b) => a - b),
        0.5,
      )
      const figures = [share(calm, 0.99), calmMost, share(during, 0.99), most].map((ms) => ms.toFixed(1))
      say(
        `${String(routes).padStart(9)}${figures[0]?.padStart(14)}${figures[1]?.padStart(9)}${figures[2]?.padStart(17)}${figures[3]?.padStart(9)}${middle.toFixed(0).padStart(15)} ms   slowest: ${during
          .slice(-8)
          .map((ms) => ms.toFixed(1))
          .reverse()
          .join(' ')}`,
      )
      const note = `p99 ${share(during, 0.99).toFixed(1)} ms; calm ${calmMost.toFixed(1)} ms; acknowledged after ${middle.toFixed(0)} ms`
      reports.push({ scenario: `cutover ${routes}`, who: 'switchyard', figure: most, unit: 'ms', ratio: null, met: most <= calmMost + bar, note })
    } finally {
      visitor.kill('SIGKILL')
      await proxy.stop()
    }
  }
  return reports
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
