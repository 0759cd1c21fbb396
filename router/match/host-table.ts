import type { Route, RouteTable } from '@/shared/route-table'
import { canonicalHost } from './host'

/** A route as the data path uses it: frozen fields and the turn of its round robin. */
export interface LiveRoute extends Route {
  /** Advanced by the balancer; not part of the table's identity. */
  turn: number
}

/** A route table made ready for the data path: one exact look-up per request, whatever its size. */
export class HostTable {
  readonly version: number
  readonly generatedAt: string
  readonly dashboardUrl: string
  readonly #routes = new Map<string, LiveRoute>()

  /** @throws Error on a host that is none or appears twice: which of the two was meant cannot be known. */
  constructor(table: RouteTable) {
    this.version = table.version
    this.generatedAt = table.generatedAt
    this.dashboardUrl = table.dashboardUrl
    for (const route of table.routes) {
      const host = canonicalHost(route.host)
      if (host === null) throw new Error(`"${route.host}" is not a hostname`)
      if (this.#routes.has(host)) throw new Error(`the host "${host}" has two routes`)
      this.#routes.set(host, { ...route, host, turn: 0 })
    }
  }

  /** The route of a canonical host (see `parseAuthority`). */
  find(host: string): LiveRoute | undefined {
    return this.#routes.get(host)
  }

  get size(): number {
    return this.#routes.size
  }

  routes(): IterableIterator<LiveRoute> {
    return this.#routes.values()
  }
}
