import { placeOf } from '@/shared/node/host'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import type { CertificateEntry, Route, TableHead, TablePart } from '@/shared/route-table'

/** A route as the data path uses it. Tables that contain the same route share one object. */
export interface LiveRoute extends Omit<Route, 'policy'> {
  /** Shared by all routes with this policy: data compiled from it can be cached with the object as key. */
  readonly policy: ProjectRules
}

/** The result of adding one part of a table. */
export interface TakenPart {
  readonly routes: readonly LiveRoute[]
  readonly certificates: readonly CertificateEntry[]
  readonly policies: ReadonlyMap<string, ProjectRules>
  /** Policies that the routes of this part use. */
  readonly named: ReadonlyMap<string, ProjectRules>
}

/** The large collections of a table. */
interface Content {
  readonly routes: Map<string, LiveRoute>
  /** Keyed by the part after `*`: `.example.test`. */
  readonly wildcards: Map<string, LiveRoute>
  readonly certificates: CertificateEntry[]
  readonly policies: Map<string, ProjectRules>
}

/** The hostname as written in the table. @throws Error for an invalid hostname. */
function hostOf(route: Route): string {
  const place = placeOf(route.host)
  if (place === null) throw new Error(`"${route.host}" is not a hostname`)
  return place.wildcard ? `*${place.host}` : place.host
}

/** A route table prepared for the data path: finds a route with one exact lookup per request, whatever its size. */
export class HostTable {
  readonly version: number
  readonly generatedAt: string
  readonly dashboardUrl: string
  /** Port that visitors use; null: HTTPS is off. */
  readonly httpsPort: number | null
  /** Hosts outside the table that rewrites may target. */
  readonly outsideHosts: readonly string[]
  readonly #content: Content
  // Copies of the references in `#content`: saves a pointer access per request.
  readonly #routes: ReadonlyMap<string, LiveRoute>
  readonly #wildcards: ReadonlyMap<string, LiveRoute>
  /** The last certificate if it arrived in several pieces: belongs to this table only. */
  #joined: CertificateEntry | undefined

  /** @throws Error for an invalid or duplicate host: the intended route would be ambiguous. */
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

  /** Adds a part before the table is used. Policies must precede the routes that use them. @throws Error like the constructor. */
  add({ policies = {}, certificates = [], routes = [] }: TablePart): TakenPart {
    const named = new Map<string, ProjectRules>()
    const taken = { routes: [] as LiveRoute[], certificates, policies: new Map(Object.entries(policies)), named }
    for (const [name, policy] of taken.policies) this.#content.policies.set(name, policy)
    for (const entry of certificates) this.#addCertificate(entry)
    for (const route of routes) {
      const policy = this.#policyOf(route)
      if (route.policy !== undefined) named.set(route.policy, policy)
      const live = { ...route, host: hostOf(route), policy }
      this.#addRoute(live)
      taken.routes.push(live)
    }
    return taken
  }

  /** Adds the result of the same part from another table, which may be in use. False: a policy of the part has changed. */
  addTaken({ policies, certificates, routes, named }: TakenPart): boolean {
    for (const [name, policy] of named) if (this.policy(name) !== policy) return false
    for (const [name, policy] of policies) this.#content.policies.set(name, policy)
    for (const entry of certificates) this.#addCertificate(entry)
    for (const route of routes) this.#addRoute(route)
    return true
  }

  #addRoute(route: LiveRoute): void {
    const { host } = route
    const wildcard = host.startsWith('*')
    const [map, key] = wildcard ? [this.#content.wildcards, host.slice(1)] : [this.#content.routes, host]
    if (map.has(key)) throw new Error(`the host "${host}" has two routes`)
    map.set(key, route)
  }

  #policyOf(route: Route): ProjectRules {
    if (route.policy === undefined) return defaultProjectRules
    const policy = this.policy(route.policy)
    if (!policy) throw new Error(`the route of "${route.host}" names a policy the table does not have`)
    return policy
  }

  policy(name: string): ProjectRules | undefined {
    return this.#content.policies.get(name)
  }

  #addCertificate(entry: CertificateEntry): void {
    const { certificates } = this.#content
    const last = certificates.at(-1)
    if (last?.id !== entry.id) return void certificates.push(entry)
    if (last !== this.#joined) {
      this.#joined = { ...last, names: [...last.names] }
      certificates[certificates.length - 1] = this.#joined
    }
    for (const name of entry.names) this.#joined.names.push(name)
  }

  /** The same table for a worker without HTTPS: no request is redirected to HTTPS. */
  withoutHttps(): HostTable {
    const { version, generatedAt, dashboardUrl, outsideHosts } = this
    return new HostTable({ version, generatedAt, dashboardUrl, outsideHosts: [...outsideHosts] }, this.#content)
  }

  /** The route of a canonical host (see `parseAuthority`): exact match first, then the wildcard one label up. */
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
