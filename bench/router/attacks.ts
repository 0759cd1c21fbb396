import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { type LoadResult, openLoop } from './load'
import { median } from './measure'
import { residentMiB, run } from './processes'
import { type Contender, loadCore } from './proxies'
import type { Cast, Report, Settings } from './scenarios'

interface Attack {
  name: string
  count: number
  /** Through the door of HTTPS, and so the honest ones beside it. */
  secure: boolean
  argv(port: number, count: number): string[]
}

const ofOurs = (name: string, count: number, secure: boolean): Attack => ({
  name,
  count,
  secure,
  argv: (port) => [process.execPath, ...process.execArgv, 'bench/router/attackers.ts', name, String(port), String(count)],
})

/** Who opens connections slowly, and who floods: each against the whole worker, honest visitors beside it through the same door. */
const attacks: Attack[] = [
  ofOurs('slow-head', 10_000, false),
  ofOurs('slow-body', 10_000, false),
  {
    // A receive window of a few hundred bytes, which Node cannot ask for: slowhttptest can.
    name: 'slow-read',
    count: 10_000,
    secure: false,
    argv: (port, count) =>
      [
        'slowhttptest',
        '-X',
        '-c',
        count,
        '-r',
        1500,
        '-l',
        240,
        '-w',
        256,
        '-y',
        512,
        '-n',
        3,
        '-z',
        32,
        '-u',
        `http://localhost:${port}/big.bin`,
      ].map(String),
  },
  ofOurs('handshakes', 10_000, true),
  ofOurs('hellos', 2_000, true),
  ofOurs('resets', 8, true),
  ofOurs('continuations', 8, true),
]

const perSecond = 1_000
const freshPerSecond = 150
const settleMs = 500
/** Connections that may be left when it is over: those to instances that are kept. */
const fewOpen = 300
const patienceMs = 90_000

interface Round {
  kept: LoadResult
  fresh: { came: number; wrong: Record<string, number>; times: number[] }
}

interface Span {
  keptP99Ms: number
  freshP99Ms: number
  failures: number
  wrong: Record<string, number>
}

interface Trial {
  calm: Span
  under: Span
  /** Descriptors open at most, beyond those before. */
  held: number
  grownMiB: number
  /** After it was over: memory and descriptors beyond those before, and how long that took. */
  leftMiB: number
  leftOpen: number
  tookBackMs: number
  attackers: string
}

const say = (text: string) => process.stdout.write(`${text}\n`)
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Honest visitors at a fixed rate: on connections that stay, then on new ones, each answer of which is read to its last byte. */
async function honest(proxy: Contender, secure: boolean, seconds: number): Promise<Round> {
  const port = secure ? proxy.httpsPort : proxy.httpPort
  const none: LoadResult = { requests: 0, seconds, failures: perSecond * seconds, p50Ms: null, p99Ms: null }
  const kept = await openLoop({ port, seconds, perSecond, secure, settleMs }).catch(() => none)
  const words = [secure ? 'https' : 'http', port, freshPerSecond, seconds].map(String)
  const visitors = await run(loadCore, [process.execPath, ...process.execArgv, 'bench/router/honest.ts', ...words], (seconds + 60) * 1000)
  return { kept, fresh: JSON.parse(visitors) }
}

async function span(proxy: Contender, attack: Attack, { rounds, seconds }: Settings, look: () => void): Promise<Span> {
  const all: Round[] = []
  for (let round = 0; round < rounds; round++) {
    all.push(await honest(proxy, attack.secure, seconds))
    look()
    // Nobody is served: more of it says no more.
    if (all[round]?.kept.p99Ms === null) break
  }
  const wrong: Record<string, number> = {}
  for (const { fresh } of all) for (const [fault, times] of Object.entries(fresh.wrong)) wrong[fault] = (wrong[fault] ?? 0) + times
  return {
    keptP99Ms: median(all.map(({ kept }) => kept.p99Ms ?? Number.POSITIVE_INFINITY)),
    freshP99Ms: quantile(
      all.flatMap(({ fresh }) => fresh.times),
      0.99,
    ),
    failures: all.reduce((sum, { kept }) => sum + kept.failures, 0) + Object.values(wrong).reduce((sum, times) => sum + times, 0),
    wrong,
  }
}

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.POSITIVE_INFINITY
}

const openFiles = (proxy: Contender) => proxy.pids().reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)

async function until(condition: () => boolean, deadlineMs: number): Promise<number> {
  const begun = Date.now()
  while (!condition() && Date.now() - begun < deadlineMs) await pause(100)
  return Date.now() - begun
}

/**
 * Attackers are nice: on the load's core the honest ones and the app go first, so that what is measured is the wait in the proxy and not
 * the wait for a core that the attackers' own work takes.
 */
function begin(attack: Attack, port: number): { child: ChildProcess; output(): string } {
  const child = spawn('nice', ['-n', '19', 'taskset', '-c', String(loadCore), ...attack.argv(port, attack.count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-2_000)
  })
  return { child, output: () => text }
}

/** The kernel's memory for so many connections is new to the machine the first time; that must not be the cost of who comes first. */
async function rehearse(proxy: Contender, attack: Attack): Promise<void> {
  const before = openFiles(proxy)
  const attackers = begin(attack, attack.secure ? proxy.httpsPort : proxy.httpPort)
  await until(() => openFiles(proxy) - before > attack.count * 0.9, 20_000)
  await pause(3_000)
  attackers.child.kill('SIGKILL')
  await until(() => openFiles(proxy) - before < fewOpen, patienceMs)
}

async function trial(proxy: Contender, attack: Attack, settings: Settings): Promise<Trial> {
  const port = attack.secure ? proxy.httpsPort : proxy.httpPort
  await honest(proxy, attack.secure, settings.seconds)
  const calm = await span(proxy, attack, settings, () => {})
  const before = { mib: residentMiB(proxy.pids()), open: openFiles(proxy) }
  let [most, mostOpen] = [before.mib, before.open]
  const look = () => {
    most = Math.max(most, residentMiB(proxy.pids()))
    mostOpen = Math.max(mostOpen, openFiles(proxy))
  }
  const attackers = begin(attack, port)
  const watch = setInterval(() => {
    most = Math.max(most, residentMiB(proxy.pids()))
  }, 250)
  try {
    const gone = new Promise<void>((resolve) => attackers.child.once('exit', () => resolve()))
    await until(() => attackers.output().startsWith('open') || openFiles(proxy) - before.open > attack.count * 0.9, 60_000)
    look()
    const under = await span(proxy, attack, settings, look)
    attackers.child.kill('SIGTERM')
    await Promise.race([gone, pause(10_000)])
    const tookBackMs = await until(() => openFiles(proxy) - before.open < fewOpen, patienceMs)
    await pause(2_000)
    const left = { leftMiB: residentMiB(proxy.pids()) - before.mib, leftOpen: openFiles(proxy) - before.open, tookBackMs }
    const said = attackers.output().trim().split('\n').at(-1) ?? ''
    return { calm, under, held: mostOpen - before.open, grownMiB: most - before.mib, ...left, attackers: said.startsWith('{') ? said : '' }
  } finally {
    clearInterval(watch)
    attackers.child.kill('SIGKILL')
  }
}

/**
 * Honest visitors beside those who mean no good: their p99 at most twice what it was, memory at most 256 MB more, every honest answer
 * right, and afterwards no connection left. nginx as it is shipped beside as a reference, under the same.
 */
export async function underAttack(cast: Cast, settings: Settings): Promise<Report[]> {
  const reports: Report[] = []
  for (const attack of attacks) {
    if (!settings.wanted('attacks') && !settings.wanted(attack.name)) continue
    say(`\n${attack.name} × ${attack.count}: p99 of honest visitors in ms, on kept connections and on new ones`)
    if (attack.count >= 1_000) await rehearse(cast.nginx, attack)
    for (const proxy of [cast.ours, cast.careful]) {
      const result = await trial(proxy, attack, settings)
      reports.push(judge(proxy, attack, result))
    }
  }
  return reports
}

function judge(proxy: Contender, attack: Attack, { calm, under, ...rest }: Trial): Report {
  const ratio = under.keptP99Ms / calm.keptP99Ms
  const freshRatio = under.freshP99Ms / calm.freshP99Ms
  const good = ratio <= 2 && freshRatio <= 2 && rest.grownMiB <= 256 && under.failures === 0 && rest.leftOpen < fewOpen
  const met = proxy.name === 'switchyard' ? good : null
  const change = (from: number, to: number) => `${from.toFixed(2)} → ${to.toFixed(2)} (${(to / from).toFixed(2)} ×)`
  const failed = under.failures === 0 ? 'all right' : `${under.failures} failed ${JSON.stringify(under.wrong)}`
  const note = [
    `new ${change(calm.freshP99Ms, under.freshP99Ms)}`,
    failed,
    `memory +${rest.grownMiB.toFixed(0)} MiB, then +${rest.leftMiB.toFixed(0)}`,
    `${rest.held} open, then ${rest.leftOpen} after ${(rest.tookBackMs / 1000).toFixed(1)} s`,
    ...(rest.attackers ? [rest.attackers] : []),
  ].join('; ')
  say(`  ${proxy.name.padEnd(12)}kept ${change(calm.keptP99Ms, under.keptP99Ms)}; ${note}${met === false ? '   (missed)' : ''}`)
  return { scenario: `attack ${attack.name}`, who: proxy.name, figure: under.keptP99Ms, unit: 'ms', ratio, met, note }
}
