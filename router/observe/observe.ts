import type { AccessLine, LinkReports } from '@/shared/link'
import type { RouterLog } from '../log'
import type { LiveRoute } from '../match/host-table'
import { AccessFile } from './access-file'
import { Counters, TrafficBacklog } from './counters'
import { maskedTarget } from './masked-target'
import { domainCheck, type FinishedRequest, type Observer, portOf } from './observer'
import { Allowance, defaultSampleRates, type SampleRates, Sampler } from './sampler'

export interface ObserverOptions {
  /** Reports to the control plane; false: unreachable or too slow. */
  report<K extends 'traffic' | 'access'>(kind: K, report: LinkReports[K]): boolean
  log: RouterLog
  /** File for JSON lines; null: none. */
  accessLogFile: string | null
  /** Write every request to the file, not only the sampled ones. */
  logEverything?: boolean
  sample?: Partial<SampleRates>
}

export interface WorkerObserver extends Observer {
  /** Projects with a live view: all their requests are reported, within bounds. */
  watch(projectIds: readonly string[]): void
  /** The route table has changed. */
  apply(): void
}

const flushMs = 1_000
/** Lines are reported sooner than counts: a live view shows them. */
const linesMs = 250
/** Counters of routes without requests are dropped after this many flushes. */
const forgetFlushes = 60
const maxTargetLength = 2_048
const maxWordLength = 512
/** Lines per message: about 400 KiB of JSON usually, at most 3 MiB. */
const maxLinesOfReport = 500

/** State of one route. */
class RouteRecord {
  readonly allowance = new Allowance()
  /** Few entries: the targets of one deployment, and null for answers without a target. */
  readonly #all: Counters[] = []

  of(instanceId: string | null): Counters {
    for (const counters of this.#all) if (counters.instanceId === instanceId) return counters
    const counters = new Counters(instanceId)
    this.#all.push(counters)
    return counters
  }
}

/** Makes the observer of a worker. */
export function createObserver(options: ObserverOptions): WorkerObserver {
  return new CountingObserver(options)
}

class CountingObserver implements WorkerObserver {
  readonly #options: ObserverOptions
  readonly #sampler: Sampler
  readonly #file: AccessFile | null
  readonly #backlog = new TrafficBacklog()
  #routes = new Map<LiveRoute | null, RouteRecord>()
  /** Counters with unreported requests, and their routes. */
  #touched: { counters: Counters; route: LiveRoute | null }[] = []
  #lines: AccessLine[] = []
  #flushes = 0
  readonly #timers: NodeJS.Timeout[]

  constructor(options: ObserverOptions) {
    this.#options = options
    this.#sampler = new Sampler({ ...defaultSampleRates, ...options.sample })
    this.#file = options.accessLogFile === null ? null : new AccessFile({ file: options.accessLogFile, log: options.log })
    this.#timers = [setInterval(() => this.#flush(), flushMs), setInterval(() => this.#sendLines(), linesMs)]
    for (const timer of this.#timers) timer.unref()
  }

  end(request: FinishedRequest): void {
    const { route } = request
    let record = this.#routes.get(route)
    if (record === undefined) {
      record = new RouteRecord()
      this.#routes.set(route, record)
    }
    if (request.reason !== domainCheck) {
      const counters = record.of(request.instanceId)
      if (counters.add(request)) this.#touched.push({ counters, route })
    }
    const wanted = this.#sampler.wants(request, record.allowance)
    if (wanted || this.#options.logEverything === true) this.#write(request, wanted)
  }

  watch(projectIds: readonly string[]): void {
    this.#sampler.watch(projectIds)
  }

  apply(): void {
    this.#routes = new Map()
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#sendLines()
    this.#flush()
    await this.#file?.close()
  }

  // Copy the fields now: the engine reuses the request's object.
  #write(request: FinishedRequest, report: boolean): void {
    try {
      const line = lineOf(request)
      this.#file?.write(JSON.stringify(line))
      if (!report) return
      if (this.#lines.length < maxLinesOfReport * 2) this.#lines.push(line)
      else this.#sampler.dropped++
    } catch (error) {
      this.#options.log.error({ err: error }, 'a line of the access log could not be made')
    }
  }

  #sendLines(): void {
    this.#file?.flush()
    const sampler = this.#sampler
    while (this.#lines.length > 0 || sampler.dropped > 0) {
      const lines = this.#lines.splice(0, maxLinesOfReport)
      const { dropped } = sampler
      sampler.dropped = 0
      if (this.#options.report('access', { lines, dropped })) continue
      // The control plane is unreachable: lines are dropped, counters are kept.
      sampler.dropped = dropped + lines.length + this.#lines.length
      this.#lines = []
      return
    }
  }

  #flush(): void {
    const now = Date.now()
    this.#sampler.tick()
    const touched = this.#touched
    this.#touched = []
    for (const { counters, route } of touched) this.#backlog.add(counters.take(route), now)
    if (++this.#flushes % forgetFlushes === 0) this.#routes = new Map()
    if (this.#backlog.isEmpty) return
    this.#backlog.send((from, to, counters) => this.#options.report('traffic', { from, to, counters }), now)
    if (this.#backlog.lost === 0) return
    this.#options.log.warn({ rows: this.#backlog.lost }, 'traffic counts given up: the control plane has been away for too long')
    this.#backlog.lost = 0
  }
}

function lineOf(request: FinishedRequest): AccessLine {
  const words = request.describe()
  return {
    at: Math.round(Date.now() - request.durationMs),
    requestId: words.requestId,
    projectId: request.route?.projectId ?? null,
    deploymentId: request.route?.deploymentId ?? null,
    instanceId: request.instanceId,
    host: hostOf(words.host),
    port: words.port ?? portOf(words.host),
    method: words.method.slice(0, maxWordLength),
    target: maskedTarget(words.target).slice(0, maxTargetLength),
    status: request.status,
    durationMs: round(request.durationMs),
    upstreamMs: request.upstreamMs === null ? null : round(request.upstreamMs),
    bytesIn: request.bytesIn,
    bytesOut: request.bytesOut,
    cache: request.cache,
    protocol: words.protocol,
    scheme: words.scheme,
    clientIp: words.clientIp,
    userAgent: words.userAgent.slice(0, maxWordLength),
    reason: request.reason,
  }
}

/** The host in the form of route names: without port, in lower case; brackets of IPv6 stay. */
const hostOf = (host: string) => host.slice(0, maxWordLength).replace(/:\d*$/, '').toLowerCase()

/** Round to microseconds, the precision of the clock. */
const round = (ms: number) => Math.round(ms * 1_000) / 1_000
