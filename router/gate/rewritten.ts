import type { LiveRoute } from '../match/host-table'
import type { RequestFacts } from './gate'

/** Where a rule sent a request. `route` null: to where nothing is kept of the answers. */
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

  /** undefined: its address is as it came. */
  of(facts: RequestFacts): RewrittenTo | undefined {
    const noted = this.#requests.get(facts)
    // The same object speaks of one request after the other.
    return noted?.requestId === facts.requestId ? noted : undefined
  }
}
