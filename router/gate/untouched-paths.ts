import type { LiveRoute } from '../match/host-table'
import type { Admission, HeaderEdits, RequestFacts } from './gate'

const maxPathsOfRoute = 256
/** Longer paths repeat too rarely to be cached. */
const maxLength = 256

type Paths = Map<string, HeaderEdits | null>

/**
 * Caches paths that no rule redirects or rewrites, with the response headers of their rules, so that later requests skip the rules. Only
 * for routes whose rules depend on the path alone. Entries are collected with their route.
 */
export class UntouchedPaths {
  readonly #plain = new WeakMap<LiveRoute, Paths>()
  readonly #secure = new WeakMap<LiveRoute, Paths>()

  /** undefined: not cached. */
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
    // Copy the path: a slice would keep the whole request target alive, including a long query.
    paths.set(Buffer.from(path).toString(), admission.responseHeaders)
  }

  // Separate caches for HTTPS and HTTP, because HSTS is sent over HTTPS only.
  #of(facts: RequestFacts): WeakMap<LiveRoute, Paths> {
    return facts.scheme === 'https' ? this.#secure : this.#plain
  }
}
