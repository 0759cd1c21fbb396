import { spawn } from 'node:child_process'
import type { Fixtures } from './fixtures'
import { host } from './fixtures'
import { h2load, type LoadResult, openLoop, wrk } from './load'
import { interleave, median, type Sample } from './measure'
import { cpuSeconds, residentMiB } from './processes'
import { type Contender, loadCore, startRouter } from './proxies'

export interface Cast {
  ours: Contender
  reference: Contender
  nginx: Contender
  /** nginx with its own limits, which cost it speed. */
  careful: Contender
  haproxy: Contender
  caddy: Contender
}

export interface Settings {
  rounds: number
  seconds: number
  wanted(name: string): boolean
}

export interface Report {
  scenario: string
  who: string
  figure: number
  unit: string
  /** To nginx, or to what `against` names. */
  ratio: number | null
  /** null: no bar. */
  met: boolean | null
  note?: string
}

interface RateScenario {
  name: string
  cast: (keyof Cast)[]
  /** Least ratio to nginx. */
  bar: number
  load(proxy: Contender, seconds: number): Promise<LoadResult>
}

const everyone: Exclude<keyof Cast, 'careful'>[] = ['ours', 'nginx', 'haproxy', 'caddy', 'reference']
const plain = (proxy: Contender, pathname = '/') => `http://127.0.0.1:${proxy.httpPort}${pathname}`
const secure = (proxy: Contender) => `https://${host}:${proxy.httpsPort}/`
const staticFile = (file: string) => (proxy: Contender, seconds: number) =>
  wrk({ url: plain(proxy, `/${file}`), hostHeader: 'static.example.test', seconds, connections: 64 })

const scenarios: RateScenario[] = [
  {
    name: 'http1',
    cast: everyone,
    bar: 1,
    load: (proxy, seconds) => wrk({ url: plain(proxy), hostHeader: host, seconds, connections: 64 }),
  },
  { name: 'tls', cast: everyone, bar: 1, load: (proxy, seconds) => wrk({ url: secure(proxy), seconds, connections: 64 }) },
  { name: 'static-2k', cast: ['ours', 'nginx', 'reference'], bar: 1.3, load: staticFile('2k.bin') },
  { name: 'static-100k', cast: ['ours', 'nginx', 'reference'], bar: 1, load: staticFile('100k.bin') },
  {
    name: 'http2',
    cast: ['ours', 'nginx', 'haproxy', 'caddy'],
    bar: 1,
    load: (proxy, seconds) => h2load({ port: proxy.httpsPort, requests: seconds * 20_000, clients: 16, streams: 8 }),
  },
  {
    name: 'handshake',
    cast: ['ours', 'nginx', 'haproxy', 'caddy'],
    bar: 0.8,
    load: (proxy, seconds) => wrk({ url: secure(proxy), seconds, connections: 16, close: true }),
  },
]

const warmUpSeconds = 10
const say = (text: string) => process.stdout.write(`${text}\n`)
const middle = (samples: Sample[], of: (sample: Sample) => number) => median(samples.map(of))

/** Requests per CPU-second, and the ratio to nginx. */
export async function rates(cast: Cast, settings: Settings): Promise<Report[]> {
  const reports: Report[] = []
  for (const scenario of scenarios.filter((each) => settings.wanted(each.name))) {
    const proxies = scenario.cast.map((key) => cast[key])
    // A router runs for weeks, and a fresh one is compiled by V8 for some seconds: handshakes come so slowly that it takes ten.
    for (const proxy of proxies) await scenario.load(proxy, warmUpSeconds)
    const samples = await interleave(proxies, settings.rounds, (proxy) => scenario.load(proxy, settings.seconds))
    const base = middle(samples.get('nginx') ?? [], (s) => s.perCpuSecond)
    say(`\n${scenario.name.padEnd(14)}${'per CPU-second'.padStart(16)}${'per second'.padStart(12)}${'to nginx'.padStart(10)}  failed`)
    for (const [who, list] of samples) {
      const figure = middle(list, (s) => s.perCpuSecond)
      const failures = list.reduce((sum, s) => sum + s.failures, 0)
      const ratio = figure / base
      // A proxy that fails requests is not fast.
      const met = who === 'switchyard' ? ratio >= scenario.bar && failures === 0 : null
      reports.push({ scenario: scenario.name, who, figure, unit: 'requests per CPU-second', ratio, met })
      const row = [
        Math.round(figure).toString().padStart(16),
        Math.round(middle(list, (s) => s.perSecond))
          .toString()
          .padStart(12),
      ]
      say(`  ${who.padEnd(12)}${row.join('')}${ratio.toFixed(2).padStart(10)}  ${failures}${met === false ? `   (bar: ${scenario.bar})` : ''}`)
    }
    if (scenario.name === 'http1') reports.push(...beside(samples))
  }
  return reports
}

/** HTTP/1.1 against Caddy and the http-proxy package: at least 3.5 times. */
function beside(samples: Map<string, Sample[]>): Report[] {
  const ours = middle(samples.get('switchyard') ?? [], (s) => s.perCpuSecond)
  return ['caddy', 'http-proxy'].map((who) => {
    const ratio = ours / middle(samples.get(who) ?? [], (s) => s.perCpuSecond)
    say(`  switchyard is ${ratio.toFixed(1)} × ${who}${ratio < 3.5 ? '   (bar: 3.5)' : ''}`)
    return { scenario: `http1 beside ${who}`, who: 'switchyard', figure: ours, unit: 'requests per CPU-second', ratio, met: ratio >= 3.5 }
  })
}

/** p99 in an open loop at half of what nginx can do on this machine in this setting; and the 10,000 requests a second of the issue. */
export async function halfOfSaturation(cast: Cast, settings: Settings): Promise<Report[]> {
  if (!settings.wanted('latency')) return []
  const saturation = await wrk({ url: plain(cast.nginx), hostHeader: host, seconds: settings.seconds, connections: 64 })
  const half = Math.round(saturation.requests / saturation.seconds / 2)
  const reports: Report[] = []
  for (const rate of [half, 10_000]) {
    const samples = await interleave([cast.ours, cast.nginx, cast.haproxy], settings.rounds, (proxy) =>
      openLoop({ port: proxy.httpPort, seconds: settings.seconds, perSecond: rate }),
    )
    say(`\nopen loop, ${rate} requests a second: p99`)
    const base = middle(samples.get('nginx') ?? [], (s) => s.p99Ms ?? Number.NaN)
    for (const [who, list] of samples) {
      const p99 = middle(list, (s) => s.p99Ms ?? Number.NaN)
      const served = middle(list, (s) => s.perSecond)
      const met = who !== 'switchyard' ? null : rate === half ? p99 <= base * 1.5 : p99 < 50 && served >= 9_900
      reports.push({ scenario: `p99 at ${rate}/s`, who, figure: p99, unit: 'ms', ratio: p99 / base, met, note: `${Math.round(served)}/s served` })
      say(`  ${who.padEnd(12)}${p99.toFixed(3).padStart(10)} ms${(p99 / base).toFixed(2).padStart(8)}   ${Math.round(served)}/s served`)
    }
  }
  return reports
}

/** A program of ours on the load's core, which says when it is ready. */
async function startHelper(script: string, args: string[]) {
  const helper = spawn('taskset', ['-c', String(loadCore), process.execPath, ...process.execArgv, script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    helper.stdout.once('data', () => resolve())
    helper.once('exit', (code) => reject(new Error(`${script} ${args.join(' ')} ended with ${code} before it was ready`)))
  })
  helper.removeAllListeners('exit')
  return helper
}

/** Memory with 10,000 idle connections: at most twice nginx's and 100 MB. */
export async function idleConnections(cast: Cast, settings: Settings): Promise<Report[]> {
  if (!settings.wanted('idle')) return []
  const sizes = new Map<string, number>()
  for (const proxy of [cast.nginx, cast.ours, cast.reference]) {
    const holder = await startHelper('bench/router/idle.ts', [String(proxy.httpPort), '10000', host])
    sizes.set(proxy.name, residentMiB(proxy.pids()))
    holder.kill('SIGKILL')
  }
  const bar = (sizes.get('nginx') ?? 0) * 2 + 100
  say('\n10,000 idle connections: resident memory')
  return [...sizes].map(([who, mib]) => {
    const met = who === 'switchyard' ? mib <= bar : null
    say(`  ${who.padEnd(12)}${mib.toFixed(0).padStart(8)} MiB${met === false ? `   (bar: ${bar.toFixed(0)})` : ''}`)
    return { scenario: 'idle', who, figure: mib, unit: 'MiB', ratio: mib / (sizes.get('nginx') ?? Number.NaN), met }
  })
}

/** How the figure changes from one route to a million. */
export async function growth(fixtures: Fixtures, backends: number[], settings: Settings): Promise<Report[]> {
  if (!settings.wanted('growth')) return []
  say('\nroutes        per CPU-second   to one route   memory')
  const reports: Report[] = []
  let first = Number.NaN
  for (const routes of [1, 100, 10_000, 1_000_000]) {
    const proxy = await startRouter(fixtures, backends, { name: `routes-${routes}`, engine: 'lean', routes })
    try {
      await untilQuiet(proxy)
      const load = (each: Contender) => wrk({ url: plain(each), hostHeader: host, seconds: settings.seconds, connections: 64 })
      const samples = (await interleave([proxy], settings.rounds, load)).get(proxy.name) ?? []
      const figure = middle(samples, (s) => s.perCpuSecond)
      if (Number.isNaN(first)) first = figure
      const mib = residentMiB(proxy.pids())
      say(
        `${String(routes).padStart(9)}${Math.round(figure).toString().padStart(18)}${(figure / first).toFixed(2).padStart(15)}${mib.toFixed(0).padStart(9)} MiB`,
      )
      reports.push({ scenario: `routes ${routes}`, who: 'switchyard', figure, unit: 'requests per CPU-second', ratio: figure / first, met: null })
    } finally {
      await proxy.stop()
    }
  }
  return reports
}

/** A million routes are parsed, stored and tidied up after for some seconds: that is another figure than this one. */
async function untilQuiet(proxy: Contender): Promise<void> {
  for (let before = -1; ; ) {
    const now = cpuSeconds(proxy.pids())
    if (now - before < 0.02) return
    before = now
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
}
