import type { LiveRoute } from '../match/host-table'
import type { RequestFacts } from './gate'

/** The target of a rewrite. `route` null: a host outside the table, whose answers are not stored. */
export interface RewrittenTo {
  route: LiveRoute | null
  target: string | null
}

/** The rewritten address of each request under way. When its instance fails, a stored answer is looked up under that address. */
export class Rewritten {
  readonly #requests = new WeakMap<RequestFacts, RewrittenTo & { requestId: string }>()

  note(facts: RequestFacts, to: RewrittenTo): void {
    this.#requests.set(facts, { ...to, requestId: facts.requestId })
  }

  /** undefined: the request was not rewritten. */
  of(facts: RequestFacts): RewrittenTo | undefined {
    const noted = this.#requests.get(facts)
    // Engines reuse the facts object for later requests: compare the request id.
    return noted?.requestId === facts.requestId ? noted : undefined
  }
}
