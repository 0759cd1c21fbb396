/** What the control plane tells the routers. Versioned snapshot, always whole: a router never patches. */

/** The router's view of an instance. `host` is an IP literal. */
export interface Target {
  instanceId: string
  host: string
  port: number
}

export interface Route {
  /** Exact hostname: lower case, no port, no trailing dot. */
  host: string
  teamId: string
  projectId: string
  projectName: string
  deploymentId: string | null
  /** Why there may be no target: shown on the router's own page instead of a bare 502. */
  state: 'live' | 'not-deployed' | 'stopped' | 'failed'
  targets: Target[]
}

export interface RouteTable {
  /** Strictly increasing; assigned by the database. */
  version: number
  generatedAt: string
  /** Port and host of the dashboard, for links on the router's own pages. */
  dashboardUrl: string
  routes: Route[]
}

export const emptyRouteTable: RouteTable = { version: 0, generatedAt: new Date(0).toISOString(), dashboardUrl: '', routes: [] }

/**
 * Control ⇄ router, newline-delimited JSON over a unix socket (`$SWITCHYARD_HOME/run/edge.sock`, 0600). The control plane listens,
 * each router worker connects, says `hello`, is sent the newest table and answers `ack` once it serves it. A router that is not
 * connected keeps serving the table it has.
 */
export type RouterMessage =
  | { type: 'hello'; workerId: number; pid: number; version: number; listening: boolean }
  | { type: 'ack'; version: number }
  /** `version` of the table could not be applied; the old one stays. */
  | { type: 'nack'; version: number; reason: string }
  /** Answer to `in-flight`: requests and upgraded connections open towards each asked instance. */
  | { type: 'in-flight'; requestId: number; counts: Record<string, number> }
export type ControlMessage = { type: 'table'; table: RouteTable } | { type: 'in-flight'; requestId: number; instanceIds: string[] }
