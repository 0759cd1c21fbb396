/** Minimal services for testing an engine: every request passes, the least loaded target serves it, nothing is recorded. */
import type { Target } from '@/shared/route-table'
import type { Admission, Gate, LocalAnswer, RequestFacts } from '../../gate/gate'
import { problemAnswer } from '../../gate/problem-answer'
import type { HostTable, LiveRoute } from '../../match/host-table'
import type { Observer } from '../../observe/observer'
import type { Problem } from '../../pages/pages'
import { sameTarget } from '../../targets/target-state'
import { type Lease, noTargetProblem, type TargetAsk, type Targets } from '../../targets/targets'

/** A gate that forwards every request unchanged. */
export class OpenGate implements Gate {
  #table: HostTable

  constructor(table: HostTable) {
    this.#table = table
  }

  apply(table: HostTable): void {
    this.#table = table
  }

  admit(route: LiveRoute): Admission {
    return {
      kind: 'forward',
      route,
      outside: null,
      target: null,
      requestHeaders: null,
      responseHeaders: null,
      filter: null,
      maxBodyBytes: null,
    }
  }

  admitUnknown(facts: RequestFacts): Admission {
    return { kind: 'problem', problem: { kind: 'unknown-host', host: facts.host } }
  }

  problem(problem: Problem, _route: LiveRoute | null, facts: RequestFacts): LocalAnswer {
    return problemAnswer(problem, facts.requestId, facts.header('accept'), this.#table.dashboardUrl)
  }
}

/** An observer that records nothing. */
export const silentObserver: Observer = { end: () => {}, close: async () => {} }

/** Counts open requests and upgraded connections by instance, independent of the route table. */
export class InFlight {
  readonly #counts = new Map<string, number>()

  /** Increments the count; the returned function decrements it once. */
  acquire(instanceId: string): () => void {
    this.#counts.set(instanceId, this.of(instanceId) + 1)
    let open = true
    return () => {
      if (!open) return
      open = false
      const left = this.of(instanceId) - 1
      if (left > 0) this.#counts.set(instanceId, left)
      else this.#counts.delete(instanceId)
    }
  }

  of(instanceId: string): number {
    return this.#counts.get(instanceId) ?? 0
  }

  pick(instanceIds: readonly string[]): Record<string, number> {
    return Object.fromEntries(instanceIds.map((id) => [id, this.of(id)]))
  }
}

/** Incremented with each pick on a route: round-robin among equally loaded targets. */
const turns = new WeakMap<LiveRoute, number>()

/** Picks the target with the fewest requests in flight, round-robin among equals. `tried` is picked only as the last resort. */
export function pickTarget(route: LiveRoute, inFlight: InFlight, tried?: Target): Target | undefined {
  const { targets } = route
  let best: Target | undefined
  let fewest = Number.POSITIVE_INFINITY
  const start = turns.get(route) ?? 0
  turns.set(route, start + 1)
  for (let i = 0; i < targets.length; i++) {
    const target = targets[(start + i) % targets.length]
    if (!target || (tried && sameTarget(target, tried))) continue
    const open = inFlight.of(target.instanceId)
    if (open < fewest) {
      best = target
      fewest = open
    }
  }
  return best ?? (tried && targets.find((target) => sameTarget(target, tried)))
}

/** Minimal `Targets`: fewest requests in flight, no ejection, no queue. */
export class LeastLoaded implements Targets {
  readonly #counts = new InFlight()

  acquire(route: LiveRoute, ask: TargetAsk): Lease | Problem {
    const target = pickTarget(route, this.#counts, ask.avoid ?? undefined)
    if (!target) return noTargetProblem(route)
    return { target, setCookie: null, done: this.#counts.acquire(target.instanceId) }
  }

  apply(_table: HostTable): void {}

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return this.#counts.pick(instanceIds)
  }

  close(): void {}
}
