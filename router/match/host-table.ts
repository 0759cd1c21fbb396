import { defaultEdgePolicy, type EdgePolicy } from '@/shared/edge-policy'
import { placeOf } from '@/shared/node/host'
import type { CertificateEntry, Route, TableHead, TablePart } from '@/shared/route-table'

/** A route as the data path uses it: frozen fields and the turn of its round robin. */
export interface LiveRoute extends Omit<Route, 'policy'> {
  /** Shared by all routes that name it: what is compiled from it can be kept under it. */
  readonly policy: EdgePolicy
  /** Advanced by the balancer; not part of the table's identity. */
  turn: number
}

/** What a table says much of. */
interface Content {
  readonly routes: Map<string, LiveRoute>
  /** By what follows `*`: `.example.test`. */
  readonly wildcards: Map<string, LiveRoute>
  readonly certificates: CertificateEntry[]
  readonly policies: Map<string, EdgePolicy>
}

/** A route table made ready for the data path: one exact look-up per request, whatever its size. */
export class HostTable {
  readonly version: number
  readonly generatedAt: string
  readonly dashboardUrl: string
  /** As visitors see it; null: HTTPS is off. */
  readonly httpsPort: number | null
  /** Hosts that rewrites may lead to outside of the table. */
  readonly outsideHosts: readonly string[]
  readonly #content: Content
  // Of `#content`: a request looks here, and one step further is one too many.
  readonly #routes: ReadonlyMap<string, LiveRoute>
  readonly #wildcards: ReadonlyMap<string, LiveRoute>

  /** @throws Error on a host that is none or appears twice: which of the two was meant cannot be known. */
  constructor(table: TableHead & TablePart, content?: Content) {
    this.version = table.version
    this.generatedAt = table.generatedAt
    this.dashboardUrl = table.dashboardUrl
    this.httpsPort = table.httpsPort ?? null
    this.outsideHosts = table.outsideHosts ?? []
    this.#content = content ?? { routes: new Map(), wildcards: new Map(), certificates: [], policies: new Map() }
    this.#routes = this.#content.routes
    this.#wildcards = this.#content.wildcards
    this.add(table)
  }

  /** Some of what it says, before it serves. A policy comes before what names it. @throws Error as the constructor. */
  add({ policies, certificates, routes }: TablePart): void {
    if (policies) for (const [name, policy] of Object.entries(policies)) this.#content.policies.set(name, policy)
    if (certificates) for (const entry of certificates) this.#addCertificate(entry)
    if (routes) for (const route of routes) this.#addRoute(route)
  }

  #addRoute(route: Route): void {
    const place = placeOf(route.host)
    if (place === null) throw new Error(`"${route.host}" is not a hostname`)
    const { host: key, wildcard } = place
    const host = wildcard ? `*${key}` : key
    const map = wildcard ? this.#content.wildcards : this.#content.routes
    if (map.has(key)) throw new Error(`the host "${host}" has two routes`)
    map.set(key, { ...route, host, policy: this.#policyOf(route), turn: 0 })
  }

  #policyOf(route: Route): EdgePolicy {
    if (route.policy === undefined) return defaultEdgePolicy
    const policy = this.#content.policies.get(route.policy)
    if (!policy) throw new Error(`the route of "${route.host}" names a policy the table does not have`)
    return policy
  }

  #addCertificate(entry: CertificateEntry): void {
    const { certificates } = this.#content
    const last = certificates.at(-1)
    if (last?.id !== entry.id) certificates.push({ ...entry, names: [...entry.names] })
    else for (const name of entry.names) last.names.push(name)
  }

  /** The same table for a worker that does not serve HTTPS: nobody is sent there. */
  withoutHttps(): HostTable {
    const { version, generatedAt, dashboardUrl, outsideHosts } = this
    return new HostTable({ version, generatedAt, dashboardUrl, outsideHosts: [...outsideHosts] }, this.#content)
  }

  /** The route of a canonical host (see `parseAuthority`): its own, else that of the wildcard one label up. */
  find(host: string): LiveRoute | undefined {
    const own = this.#routes.get(host)
    if (own !== undefined || this.#wildcards.size === 0) return own
    const dot = host.indexOf('.')
    return dot > 0 ? this.#wildcards.get(host.slice(dot)) : undefined
  }

  get certificates(): readonly CertificateEntry[] {
    return this.#content.certificates
  }

  get size(): number {
    return this.#routes.size + this.#wildcards.size
  }

  *routes(): IterableIterator<LiveRoute> {
    yield* this.#routes.values()
    yield* this.#wildcards.values()
  }
}
