import type { ProjectRules } from './project-rules'

/** The route table that the control plane sends to the routers. A table is always complete: routers apply no patches. */

/** An instance as seen by the router. `host` is an IP literal. */
export interface Target {
  instanceId: string
  host: string
  port: number
  /** Time at which the instance became healthy (ms since 1970): the share of a new instance grows slowly. */
  since?: number
}

/** Static files of an artifact, unpacked on a disk that the router can read. */
export interface StaticContent {
  /** Digest of the artifact; the files of a digest never change. */
  digest: string
  /** Absolute path of the public directory. */
  directory: string
  /** Serves /index.html with 200 for unknown paths. */
  spa: boolean
}

export interface Route {
  /** Exact hostname (lower case, no port, no trailing dot), or a wildcard `*.` for exactly one more label. */
  host: string
  teamId: string
  projectId: string
  projectName: string
  deploymentId: string | null
  /** Explains a missing target on the router's error page. */
  state: 'live' | 'not-deployed' | 'stopped' | 'failed' | 'sleeping'
  targets: Target[]
  /** Key in `RouteTable.policies`; absent: the default rules. */
  policy?: string
  /** Static files: served before instances are asked, or without instances. */
  content?: StaticContent
  /** Redirects plain HTTP to HTTPS; set if the host has a certificate. */
  httpsOnly?: boolean
  /** `Strict-Transport-Security` in seconds, for HTTPS responses. */
  hstsSeconds?: number
  /** Redirects all requests (308) to this origin (`https://www.example.com`), with path and query. */
  redirectTo?: string
  /** The rules cannot be applied: the policy refuses all requests, and the error page shows the reason. */
  closed?: boolean
}

/** A certificate. Routers request its key over the link. */
export interface CertificateEntry {
  /** Identifies chain and key: a renewed certificate has another id. */
  id: string
  /** Hostnames and wildcards (`*.example.test`). */
  names: string[]
  /** Expiry, in ms since 1970. */
  notAfter: number
}

/** Fields of a table that are not lists. */
export interface TableHead {
  /** Strictly increasing; assigned by the database. */
  version: number
  generatedAt: string
  /** URL of the dashboard, for links on the router's error pages. */
  dashboardUrl: string
  /** HTTPS port as visitors see it, for redirects; absent: HTTPS is off. */
  httpsPort?: number
  /** External hosts that rewrites may use, as the operator allowed them: `api.example.com`, `*.example.com`, `10.0.0.5:8080`. */
  outsideHosts?: string[]
}

/** A part of a table. A policy is sent before the routes that refer to it. */
export interface TablePart {
  /** Rules by key, shared by several routes. */
  policies?: Record<string, ProjectRules>
  /** Consecutive entries with the same id form one certificate: its names may exceed one part. */
  certificates?: CertificateEntry[]
  routes?: Route[]
}

export interface RouteTable extends TableHead, TablePart {
  routes: Route[]
}

export const emptyRouteTable: RouteTable = { version: 0, generatedAt: new Date(0).toISOString(), dashboardUrl: '', routes: [] }
