import type { Target } from '@/shared/route-table'
import type { UpstreamFault } from '../engine/upstream/faults'

/** Settings of ejection. In milliseconds unless noted. */
export interface HealthSettings {
  /** Consecutive faults that eject a target, regardless of the load. */
  consecutiveFaults: number
  /** Length of the window in which the failure rate is measured; it opens with a failure. */
  windowMs: number
  /** Minimum requests in the window before the rate counts. */
  windowRequests: number
  /** Share of failures (faults and status 500 or higher) in the window that makes a target an outlier if its neighbours have fewer. */
  failureRate: number
  /** Length of the first ejection; each further ejection lasts twice as long. */
  firstEjectionMs: number
  longestEjectionMs: number
  /** Interval between probes of an ejected target after its ejection time. */
  probeEveryMs: number
  /** A trial without a result for this time (a long stream) allows the next trial. */
  trialPatienceMs: number
  /** After this time without an ejection, the next one counts as the first. */
  forgetAfterMs: number
}

export const defaultHealthSettings: HealthSettings = {
  consecutiveFaults: 5,
  windowMs: 10_000,
  windowRequests: 20,
  failureRate: 0.5,
  firstEjectionMs: 1_000,
  longestEjectionMs: 60_000,
  probeEveryMs: 1_000,
  trialPatienceMs: 5_000,
  forgetAfterMs: 60_000,
}

/** The balancer's side of a target's health. */
export interface HealthHost {
  readonly settings: HealthSettings
  /** Whether the target may be ejected: at most half of the pool's targets are ejected at once. */
  mayEject(): boolean
  /** Whether most neighbours answer well: then failures are the target's own fault, not the app's. */
  neighboursDoWell(): boolean
  /** Whether the target accepts connections. */
  probe(): Promise<boolean>
  /** The set of targets that may be chosen has changed. */
  changed(): void
  report(state: 'ejected' | 'restored', reason: string): void
}

/**
 * A circuit breaker. `in` (closed): chosen normally. `out` (open): ejected, not chosen while other targets exist. `trial` (half-open): the
 * ejection time is over and the target accepts connections; one request at a time is let through, and its outcome decides.
 */
export type HealthPhase = 'in' | 'out' | 'trial'

/** The health of one target, measured by its requests and, while ejected, by probes. A successful answer reads no clock. */
export class Health {
  phase: HealthPhase = 'in'
  /** Time of the restoration, ms since 1970; 0: never ejected. Slow start begins anew at this time. */
  restoredAt = 0
  readonly #host: HealthHost
  #consecutive = 0
  #ejections = 0
  /** The current window, opened by its first failure. */
  #windowStart = 0
  #windowRequests = 0
  #windowFailures = 0
  #trialOpen = false
  /** Ejected for its failure rate, not for consecutive faults. */
  #outlier = false
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(host: HealthHost) {
    this.#host = host
  }

  /** Counts an answered request. `trial`: it was the trial request of an ejected target. */
  answered(status: number, trial: boolean): void {
    this.#consecutive = 0
    if (this.#windowStart !== 0) this.#windowRequests++
    if (trial && this.phase !== 'in') {
      if (status < 500 || !this.#outlier) this.#restore()
      else if (this.phase === 'trial') this.#leave()
    } else if (status >= 500 && this.phase === 'in') this.#failed(`answered ${status} again and again while its neighbours did not`)
  }

  /** Counts a request without an answer. */
  fault(fault: UpstreamFault, trial: boolean): void {
    this.#consecutive++
    if (this.#windowStart !== 0) this.#windowRequests++
    if (trial && this.phase === 'trial') this.#leave()
    else if (this.phase !== 'in') return
    else if (this.#consecutive < this.#host.settings.consecutiveFaults) this.#failed(`${describe(fault)} in most of its requests`)
    else this.#eject(`${describe(fault)}, ${this.#consecutive} times in a row`, false)
  }

  /** The client of a trial request left: the trial has no result. */
  undecided(trial: boolean): void {
    if (trial && this.phase === 'trial') this.#offerTrial()
  }

  /** Reserves the trial request; false: already reserved, or none is due. */
  takeTrial(): boolean {
    if (this.phase !== 'trial' || !this.#trialOpen) return false
    this.#trialOpen = false
    this.#wait(this.#host.settings.trialPatienceMs, () => this.#offerTrial())
    this.#host.changed()
    return true
  }

  get trialOpen(): boolean {
    return this.phase === 'trial' && this.#trialOpen
  }

  /** Share of failures in the current window, 0 if none is open. */
  failureRate(now: number): number {
    const fresh = this.#windowStart !== 0 && now - this.#windowStart <= this.#host.settings.windowMs
    return fresh ? this.#windowFailures / Math.max(1, this.#windowRequests) : 0
  }

  /** Stops probes and reports of a removed target. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Undoes `stop`: the target returned to the table while it still had requests. */
  resume(): void {
    if (!this.#stopped) return
    this.#stopped = false
    if (this.phase === 'in') return
    this.phase = 'out'
    this.#wait(0, () => void this.#probe())
  }

  // The window opens with a failure, so counting costs nothing while there are no failures.
  #failed(reason: string): void {
    const { windowMs, windowRequests, failureRate } = this.#host.settings
    const now = Date.now()
    if (this.#windowStart === 0 || now - this.#windowStart > windowMs) {
      this.#windowStart = now
      this.#windowRequests = 1
      this.#windowFailures = 0
    }
    this.#windowFailures++
    const enough = this.#windowRequests >= windowRequests && this.#windowFailures >= failureRate * this.#windowRequests
    if (enough && this.#host.neighboursDoWell()) this.#eject(reason, true)
  }

  #eject(reason: string, outlier: boolean): void {
    if (this.#stopped || !this.#host.mayEject()) return
    this.#outlier = outlier
    if (Date.now() - this.restoredAt > this.#host.settings.forgetAfterMs) this.#ejections = 0
    this.#leave()
    this.#host.report('ejected', reason)
  }

  #leave(): void {
    const { firstEjectionMs, longestEjectionMs } = this.#host.settings
    this.phase = 'out'
    this.#trialOpen = false
    this.#windowStart = 0
    const lengthMs = Math.min(longestEjectionMs, firstEjectionMs * 2 ** Math.min(this.#ejections++, 20))
    this.#wait(lengthMs, () => void this.#probe())
    this.#host.changed()
  }

  // Probe before a trial: a visitor's request is used only on a target that accepts connections.
  async #probe(): Promise<void> {
    const accepts = await this.#host.probe().catch(() => false)
    if (this.#stopped || this.phase !== 'out') return
    if (!accepts) return this.#wait(this.#host.settings.probeEveryMs, () => void this.#probe())
    this.phase = 'trial'
    this.#offerTrial()
  }

  #offerTrial(): void {
    clearTimeout(this.#timer)
    this.#trialOpen = true
    this.#host.changed()
  }

  #restore(): void {
    clearTimeout(this.#timer)
    this.phase = 'in'
    this.#trialOpen = false
    this.#windowStart = 0
    this.restoredAt = Date.now()
    this.#host.changed()
    this.#host.report('restored', 'answered again')
  }

  #wait(delayMs: number, then: () => void): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    this.#timer = setTimeout(then, delayMs)
    this.#timer.unref()
  }
}

const words: Record<UpstreamFault, string> = {
  refused: 'refused the connection',
  reset: 'broke the connection',
  'connect-timeout': 'could not be reached',
  'answer-timeout': 'did not answer in time',
  'bad-answer': 'gave an answer that is not HTTP',
}
const describe = (fault: UpstreamFault): string => words[fault]

/** Address of a target for log lines. */
export const addressOf = (target: Target): string => (target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`)
