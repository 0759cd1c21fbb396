import type { Target } from '@/shared/route-table'
import type { UpstreamFault } from '../engine/upstream/faults'

/** Bounds of ejection. Milliseconds unless they say otherwise. */
export interface HealthSettings {
  /** Faults in a row that eject, whatever the load. */
  consecutiveFaults: number
  /** Length of the window that opens with a failure and within which the rate is looked at. */
  windowMs: number
  /** Requests in the window below which a rate says nothing. */
  windowRequests: number
  /** Share of failures (faults and answers of 500 and more) in the window that makes an outlier, when the neighbours do better. */
  failureRate: number
  /** Length of the first ejection; each further one lasts twice as long. */
  firstEjectionMs: number
  longestEjectionMs: number
  /** Between two probes of an ejected target whose time is over. */
  probeEveryMs: number
  /** A trial without a verdict (a long stream) gives way to the next after so long. */
  trialPatienceMs: number
  /** After so long without an ejection the next one is a first one again. */
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

/** What a target's health needs from the balancer. */
export interface HealthHost {
  readonly settings: HealthSettings
  /** Whether the target may go: never so many that more than half of its neighbours would be gone. */
  mayEject(): boolean
  /** Whether most neighbours answer well, so that failures are this target's own and not the app's. */
  neighboursDoWell(): boolean
  /** Whether something accepts connections there. */
  probe(): Promise<boolean>
  /** The set of targets that may be chosen is another now. */
  changed(): void
  report(state: 'ejected' | 'restored', reason: string): void
}

/**
 * `in`: chosen as ever. `out`: ejected, not chosen while others are there. `trial`: its time is over and it accepts connections again;
 * one request at a time is let through, whose outcome decides. A circuit breaker: closed, open, half-open.
 */
export type HealthPhase = 'in' | 'out' | 'trial'

/** The health of one target as its requests tell it, and of one that is ejected, as probes do. The path of a good answer has no clock. */
export class Health {
  phase: HealthPhase = 'in'
  /** ms since 1970 when it came back; 0: never was away. A newcomer again from then on. */
  restoredAt = 0
  readonly #host: HealthHost
  #consecutive = 0
  #ejections = 0
  /** The window, open from its first failure on. */
  #windowStart = 0
  #windowRequests = 0
  #windowFailures = 0
  #trialOpen = false
  /** Ejected for what it answered, not for answering nothing. */
  #outlier = false
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(host: HealthHost) {
    this.#host = host
  }

  /** A request was answered. `trial`: it had been let through to find out. */
  answered(status: number, trial: boolean): void {
    this.#consecutive = 0
    if (this.#windowStart !== 0) this.#windowRequests++
    if (trial && this.phase !== 'in') {
      if (status < 500 || !this.#outlier) this.#restore()
      else if (this.phase === 'trial') this.#leave()
    } else if (status >= 500 && this.phase === 'in') this.#failed(`answered ${status} again and again while its neighbours did not`)
  }

  /** A request got no answer. */
  fault(fault: UpstreamFault, trial: boolean): void {
    this.#consecutive++
    if (this.#windowStart !== 0) this.#windowRequests++
    if (trial && this.phase === 'trial') this.#leave()
    else if (this.phase !== 'in') return
    else if (this.#consecutive < this.#host.settings.consecutiveFaults) this.#failed(`${describe(fault)} in most of its requests`)
    else this.#eject(`${describe(fault)}, ${this.#consecutive} times in a row`, false)
  }

  /** The client of a trial left: nothing was learned. */
  undecided(trial: boolean): void {
    if (trial && this.phase === 'trial') this.#offerTrial()
  }

  /** Takes the one trial there is; false when it is taken or none is due. */
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

  /** Share of failures in the present window, 0 when none is open. */
  failureRate(now: number): number {
    const fresh = this.#windowStart !== 0 && now - this.#windowStart <= this.#host.settings.windowMs
    return fresh ? this.#windowFailures / Math.max(1, this.#windowRequests) : 0
  }

  /** The target is gone: stops probes and reports. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** It is in the table again while its last requests were still open. */
  resume(): void {
    if (!this.#stopped) return
    this.#stopped = false
    if (this.phase === 'in') return
    this.phase = 'out'
    this.#wait(0, () => void this.#probe())
  }

  // The window opens with a failure, so that counting costs nothing while there is none.
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

  // A visitor's request is risked only on a target that at least accepts connections.
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

/** How a target is named in the log. */
export const addressOf = (target: Target): string => (target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`)
