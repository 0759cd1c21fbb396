import type { LiveRoute } from '../match/host-table'
import type { Admission, HeaderEdits, RequestFacts } from './gate'

const maxPathsOfRoute = 256
/** A path that is longer is not asked for often enough to be worth its memory. */
const maxLength = 256

type Paths = Map<string, HeaderEdits | null>

/**
 * Paths that rules were found to leave as they are, with what they add to the answer, so that the next request for one of them asks no
 * rule. For routes whose rules look at nothing but the path. They are forgotten with their route.
 */
export class UntouchedPaths {
  readonly #plain = new WeakMap<LiveRoute, Paths>()
  readonly #secure = new WeakMap<LiveRoute, Paths>()

  /** undefined: not known. */
  get(route: LiveRoute, facts: RequestFacts): HeaderEdits | null | undefined {
    return this.#of(facts).get(route)?.get(facts.path)
  }

  note(route: LiveRoute, facts: RequestFacts, admission: Admission): void {
    if (admission.kind !== 'forward' || admission.route !== route || admission.target !== null || admission.outside !== null) return
    const { path } = facts
    if (path.length > maxLength) return
    const routes = this.#of(facts)
    let paths = routes.get(route)
    if (paths === undefined) {
      paths = new Map()
      routes.set(route, paths)
    }
    if (paths.size >= maxPathsOfRoute) paths.clear()
    // A copy: a piece of a request's target would keep all of it, with a query of any length.
    paths.set(Buffer.from(path).toString(), admission.responseHeaders)
  }

  // HSTS is said over HTTPS alone.
  #of(facts: RequestFacts): WeakMap<LiveRoute, Paths> {
    return facts.scheme === 'https' ? this.#secure : this.#plain
  }
}
