import type { ProjectRules } from '@/shared/project-rules'
import type { Target } from '@/shared/route-table'
import { readCookie, targetCookie } from './sticky'
import { sameTarget, slowStartMs, type TargetState } from './target-state'

/** A queued request. */
export interface Waiter {
  /** Target of a sticky visitor; null: any target. */
  readonly wanted: TargetState | null
  readonly avoid: Target | null
  /** ms since 1970. */
  readonly deadline: number
  /** Gives the request a target. null: the router is stopping. */
  give(state: TargetState | null, pool: Pool): void
}

/** The targets of one deployment under one policy, shared by all its hosts: selects targets and queues requests. */
export class Pool {
  readonly states: readonly TargetState[]
  readonly projectId: string
  readonly sticky: boolean
  readonly queueTimeoutMs: number
  readonly waiters = new Set<Waiter>()
  /** Maximum concurrent requests per target from this worker. */
  readonly limit: number
  readonly #roundRobin: boolean
  /** Targets that are not ejected. Cached, because every request reads the list and changes are rare. */
  #ready: readonly TargetState[]
  /** Ejected targets that may receive one trial request. */
  #trials: readonly TargetState[] = []
  #turn = 0
  /** End of the slow start of the newest targets; 0: no target is in slow start. */
  #warmAt = 0

  constructor(states: readonly TargetState[], projectId: string, policy: ProjectRules, limit: number) {
    this.states = states
    this.projectId = projectId
    this.sticky = policy.sticky
    this.queueTimeoutMs = policy.queueTimeoutMs
    this.limit = limit
    this.#roundRobin = policy.balance === 'round-robin'
    this.#ready = states
    this.refresh()
  }

  /** Updates the lists from the health of all targets. */
  refresh(): void {
    const { states } = this
    this.#ready = states.every((state) => state.health.phase === 'in') ? states : states.filter((state) => state.health.phase === 'in')
    this.#trials = this.#ready === states ? [] : states.filter((state) => state.health.trialOpen)
    this.#warmAt = states.length > 1 ? Math.max(...states.map((state) => state.since)) + slowStartMs : 0
    if (this.waiters.size > 0) queueMicrotask(() => this.#serveAll())
  }

  /** At most half of the targets may be ejected: if more fail, the cause is not a single target. */
  mayEject(state: TargetState): boolean {
    const out = this.states.length - this.#ready.length + (this.#ready.includes(state) ? 1 : 0)
    return out * 2 <= this.states.length
  }

  neighboursDoWell(state: TargetState): boolean {
    const now = Date.now()
    const others = this.#ready.filter((other) => other !== state)
    return others.length > 0 && others.filter((other) => other.health.failureRate(now) < 0.25).length * 2 >= others.length
  }

  /** The target named by a sticky visitor's cookie, if it may be chosen. */
  stuckTo(cookie: string | undefined, avoid: Target | null): TargetState | null {
    const token = cookie === undefined ? null : readCookie(cookie, targetCookie)
    if (token === null) return null
    const state = this.#ready.find((candidate) => candidate.token(this.projectId) === token)
    return state && !(avoid && sameTarget(state.target, avoid)) ? state : null
  }

  /** Selects the target for the next request; null: all allowed targets are at their limit. */
  pick(avoid: Target | null): TargetState | null {
    if (this.#trials.length > 0) {
      const trial = this.#pickTrial(avoid)
      if (trial) return trial
    }
    const ready = this.#ready.length > 0 ? this.#ready : this.states
    const only = ready.length === 1 ? ready[0] : undefined
    if (only) {
      const usable = !avoid || this.states.length === 1 || !sameTarget(only.target, avoid)
      if (usable) return only.inFlight < this.limit ? only : null
      return this.#pickAvoided(only)
    }
    const warming = this.#warmAt !== 0 && this.#isWarming()
    const choose = this.#roundRobin ? this.#nextInTurn : this.#leastLoaded
    return (warming ? choose.call(this, ready, avoid, true) : null) ?? choose.call(this, ready, avoid, false)
  }

  // The remaining target has just failed this request: prefer an ejected one.
  #pickAvoided(only: TargetState): TargetState | null {
    return (
      this.#leastLoaded(
        this.states.filter((state) => state !== only),
        null,
        false,
      ) ?? (only.inFlight < this.limit ? only : null)
    )
  }

  #pickTrial(avoid: Target | null): TargetState | null {
    for (const state of this.#trials)
      if (state.inFlight < this.limit && !(avoid && sameTarget(state.target, avoid)) && state.health.takeTrial()) return state
    return null
  }

  #isWarming(): boolean {
    if (Date.now() < this.#warmAt) return true
    this.#warmAt = 0
    return false
  }

  /**
   * Selects the target with the fewest open requests. Ties rotate: the scan starts at another position each time and stops early in an idle
   * pool.
   */
  #leastLoaded(among: readonly TargetState[], avoid: Target | null, growing: boolean): TargetState | null {
    const count = among.length
    const now = growing ? Date.now() : 0
    let best: TargetState | null = null
    let fewest = this.limit
    let at = this.#advance(count)
    for (let i = 0; i < count; i++) {
      const state = among[at] as TargetState
      if (++at === count) at = 0
      if (state.inFlight >= fewest || (avoid && sameTarget(state.target, avoid)) || (growing && !joins(state, now))) continue
      best = state
      fewest = state.inFlight
      if (fewest === 0) break
    }
    return best
  }

  #nextInTurn(among: readonly TargetState[], avoid: Target | null, growing: boolean): TargetState | null {
    const count = among.length
    const now = growing ? Date.now() : 0
    for (let i = 0; i < count; i++) {
      const state = among[this.#advance(count)] as TargetState
      if (state.inFlight < this.limit && !(avoid && sameTarget(state.target, avoid)) && !(growing && !joins(state, now))) return state
    }
    return null
  }

  #advance(count: number): number {
    const turn = this.#turn >= count ? 0 : this.#turn
    this.#turn = turn + 1
    return turn
  }

  /** Gives a freed place to the longest waiting request. */
  serveWaiters(freed: TargetState): void {
    if (freed.inFlight >= this.limit) return
    // A target in trial receives only its trial request, which may be waiting for this place.
    if (freed.health.phase !== 'in' && this.#ready.length > 0) {
      if (freed.health.trialOpen) this.#serveAll()
      return
    }
    for (const waiter of this.waiters) {
      if (waiter.wanted && waiter.wanted !== freed && waiter.wanted.health.phase === 'in') continue
      if (waiter.avoid && sameTarget(freed.target, waiter.avoid) && this.#ready.some((other) => other !== freed)) continue
      this.waiters.delete(waiter)
      waiter.give(freed, this)
      return
    }
  }

  // A target was restored or may be tried: serve waiting requests before new ones.
  #serveAll(): void {
    for (const waiter of this.waiters) {
      const state = this.choose(waiter.wanted, waiter.avoid)
      // The next waiting request may accept another target.
      if (!state) continue
      this.waiters.delete(waiter)
      waiter.give(state, this)
    }
  }

  /** Returns `wanted` while it is healthy, even if the request must wait for it; otherwise any target. null: wait. */
  choose(wanted: TargetState | null, avoid: Target | null): TargetState | null {
    if (wanted && wanted.health.phase === 'in') return wanted.inFlight < this.limit ? wanted : null
    return this.pick(avoid)
  }
}

/** Whether a target in slow start takes part in this choice; the probability grows with time. */
function joins(state: TargetState, now: number): boolean {
  const share = state.shareAt(now)
  return share === 1 || Math.random() < share
}
