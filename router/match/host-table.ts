import { defaultEdgePolicy, type EdgePolicy } from '@/shared/edge-policy'
import { placeOf } from '@/shared/node/host'
import type { CertificateEntry, Route, RouteTable } from '@/shared/route-table'

/** A route as the data path uses it: frozen fields and the turn of its round robin. */
export interface LiveRoute extends Omit<Route, 'policy'> {
  /** Shared by all routes that name it: what is compiled from it can be kept under it. */
  readonly policy: EdgePolicy
  /** Advanced by the balancer; not part of the table's identity. */
  turn: number
}

/** A route table made ready for the data path: one exact look-up per request, whatever its size. */
export class HostTable {
  readonly version: number
  readonly generatedAt: string
  readonly dashboardUrl: string
  readonly certificates: readonly CertificateEntry[]
  /** As visitors see it; null: HTTPS is off. */
  readonly httpsPort: number | null
  /** Hosts that rewrites may lead to outside of the table. */
  readonly outsideHosts: readonly string[]
  readonly #routes = new Map<string, LiveRoute>()
  /** By what follows `*`: `.example.test`. */
  readonly #wildcards = new Map<string, LiveRoute>()

  /** @throws Error on a host that is none or appears twice: which of the two was meant cannot be known. */
  constructor(table: RouteTable) {
    this.version = table.version
    this.generatedAt = table.generatedAt
    this.dashboardUrl = table.dashboardUrl
    this.certificates = table.certificates ?? []
    this.httpsPort = table.httpsPort ?? null
    this.outsideHosts = table.outsideHosts ?? []
    for (const route of table.routes) {
      const place = placeOf(route.host)
      if (place === null) throw new Error(`"${route.host}" is not a hostname`)
      const { host: key, wildcard } = place
      const host = wildcard ? `*${key}` : key
      const map = wildcard ? this.#wildcards : this.#routes
      if (map.has(key)) throw new Error(`the host "${host}" has two routes`)
      map.set(key, { ...route, host, policy: policyOf(table, route), turn: 0 })
    }
  }

  /** The route of a canonical host (see `parseAuthority`): its own, else that of the wildcard one label up. */
  find(host: string): LiveRoute | undefined {
    const own = this.#routes.get(host)
    if (own !== undefined || this.#wildcards.size === 0) return own
    const dot = host.indexOf('.')
    return dot > 0 ? this.#wildcards.get(host.slice(dot)) : undefined
  }

  get size(): number {
    return this.#routes.size + this.#wildcards.size
  }

  *routes(): IterableIterator<LiveRoute> {
    yield* this.#routes.values()
    yield* this.#wildcards.values()
  }
}

function policyOf(table: RouteTable, route: Route): EdgePolicy {
  if (route.policy === undefined) return defaultEdgePolicy
  const policy = table.policies?.[route.policy]
  if (!policy) throw new Error(`the route of "${route.host}" names a policy the table does not have`)
  return policy
}
