import type { ProjectRules } from './project-rules'

/** What the control plane tells the routers. Versioned snapshot, always whole: a router never patches. */

/** The router's view of an instance. `host` is an IP literal. */
export interface Target {
  instanceId: string
  host: string
  port: number
  /** When it became healthy (ms since 1970): a newcomer among others is given its share slowly. */
  since?: number
}

/** Static files of an artifact, unpacked where the router can read them. */
export interface StaticContent {
  /** Digest of the artifact: the identity of everything in it. */
  digest: string
  /** Absolute path of the directory whose content is public. */
  directory: string
  /** Unknown paths get /index.html with 200. */
  spa: boolean
}

export interface Route {
  /** Exact hostname: lower case, no port, no trailing dot; or `*.` before one, for exactly one label more. */
  host: string
  teamId: string
  projectId: string
  projectName: string
  deploymentId: string | null
  /** Why there may be no target: shown on the router's own page instead of a bare 502. */
  state: 'live' | 'not-deployed' | 'stopped' | 'failed' | 'sleeping'
  targets: Target[]
  /** Key in `RouteTable.policies`; absent: the default policy. */
  policy?: string
  /** Served before, and where there is no target instead of, instances. */
  content?: StaticContent
  /** Plain HTTP is redirected to HTTPS (the host has a certificate). */
  httpsOnly?: boolean
  /** `Strict-Transport-Security` in seconds, on HTTPS answers. */
  hstsSeconds?: number
  /** The whole host is a redirect to this origin (`https://www.example.com`), path and query kept, 308. */
  redirectTo?: string
  /** Its rules cannot be applied: its policy lets nobody in, and the page says why instead of speaking of work under way. */
  closed?: boolean
}

/** A certificate there is; its key is asked for over the link when the router does not have it yet. */
export interface CertificateEntry {
  /** Names the pair of chain and key: a renewed one has another id. */
  id: string
  /** Exact names and wildcards (`*.example.test`). */
  names: string[]
  /** ms since 1970. */
  notAfter: number
}

/** What a table says once. */
export interface TableHead {
  /** Strictly increasing; assigned by the database. */
  version: number
  generatedAt: string
  /** Port and host of the dashboard, for links on the router's own pages. */
  dashboardUrl: string
  /** Port of HTTPS as visitors see it, for redirects; absent: HTTPS is off. */
  httpsPort?: number
  /** Outside hosts that rewrites may lead to, as an operator allowed them: `api.example.com`, `*.example.com`, `10.0.0.5:8080`. */
  outsideHosts?: string[]
}

/** Some of what a table says much of. A policy comes before the routes that name it. */
export interface TablePart {
  /** Shared by the routes that name them. */
  policies?: Record<string, ProjectRules>
  /** Those of one id that follow each other are one: it may be for more names than one part holds. */
  certificates?: CertificateEntry[]
  routes?: Route[]
}

export interface RouteTable extends TableHead, TablePart {
  routes: Route[]
}

export const emptyRouteTable: RouteTable = { version: 0, generatedAt: new Date(0).toISOString(), dashboardUrl: '', routes: [] }
