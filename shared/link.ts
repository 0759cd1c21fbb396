import type { TableHead, TablePart } from './route-table'

/**
 * The link: newline-delimited JSON between the control plane and the routers over a unix socket (`$SWITCHYARD_HOME/run/edge.sock`, 0600).
 * The control plane listens. Each router worker connects, sends `hello`, receives the newest table and every state, and sends `ack` once it
 * serves them. A disconnected router keeps serving its last table. Besides tables there are four kinds of messages, each typed by a map
 * below: `state` (control plane → all routers, kept, acknowledged), `command` (control plane → all routers, each answers), `ask` (router →
 * control plane, answered), `report` (router → control plane, unanswered, may be lost).
 *
 * A table is a head, parts of at most `tablePartBytes`, and an end, so that neither side processes more than one part at a time. Other
 * messages may arrive in between. A table that is incomplete when the next head arrives or the connection closes is discarded. An
 * unchanged part has the same bytes as in the previous table (`shared/node/table-frames.ts`), so a router can reuse what it parsed.
 */

/**
 * Bytes of JSON in one part: a router checks and loads them within two milliseconds. A single route, policy or certificate may exceed it.
 */
export const tablePartBytes = 48 * 1024

/**
 * Maximum bytes of one message of the control plane, and of all parts of a table together. A table of a million routes is about 300 MB of
 * JSON; `server/routes/sound-routes.ts` bounds tables well below this limit.
 */
export const maxControlFrameBytes = 512 * 1024 * 1024

/** Complete values: the newest replaces the previous, and every router that connects receives it. */
export interface LinkStates {
  /** Responses to pending ACME challenges. */
  challenges: {
    /** http-01: token → key authorization. */
    http: Record<string, string>
    /** tls-alpn-01 (RFC 8737): hostname → self-signed certificate with the acmeIdentifier extension. */
    alpn: Record<string, { certificatePem: string; keyPem: string }>
  }
  /** Projects whose live traffic is open in a dashboard or CLI. */
  watched: { projectIds: string[] }
}

export interface LinkCommands {
  purge: { ask: { projectId: string; tags?: string[]; paths?: string[] }; answer: { entries: number } }
  /** Closes all connections to these instances, which are about to stop; WebSockets get a close frame. Answered when all are closed. */
  'end-connections': { ask: { instanceIds: string[] }; answer: { ended: number } }
}

export interface LinkQueries {
  /** Chain and key of certificates that the table names; the answer omits unknown ids. */
  certificates: { ask: { ids: string[] }; answer: { certificates: { id: string; chainPem: string; keyPem: string }[] } }
  /** Wakes the instances of a sleeping deployment. The answer does not wait for them: the next table contains their targets. */
  wake: { ask: { deploymentId: string }; answer: { accepted: boolean } }
}

export type CacheState = 'hit' | 'stale' | 'miss' | 'revalidated' | 'bypass' | 'static' | 'none'

/** One line of the access log. */
export interface AccessLine {
  /** Unix time in ms at which the request's head was complete. */
  at: number
  requestId: string
  projectId: string | null
  deploymentId: string | null
  instanceId: string | null
  /** Without port, in lower case. */
  host: string
  /** From the visitor's URL; null: the default port of the scheme. */
  port: number | null
  method: string
  /** Path and query, at most 2,048 characters. */
  target: string
  status: number
  durationMs: number
  /** Time to the response head of the instance; null: no instance was asked. */
  upstreamMs: number | null
  bytesIn: number
  bytesOut: number
  cache: CacheState
  protocol: 'http/1.0' | 'http/1.1' | 'h2' | 'websocket'
  scheme: 'http' | 'https'
  clientIp: string
  userAgent: string
  /** The rule or fault that answered instead of the app; null: the app answered. */
  reason: string | null
}

/** Counters of one host or target since the last report. */
export interface TrafficCounters {
  projectId: string | null
  deploymentId: string | null
  host: string
  instanceId: string | null
  requests: number
  /** Sum over all requests, in milliseconds. */
  durationMs: number
  /** Six counts: index 1–5 by the first digit of the status, index 0 for clients that disconnected before the response. */
  statuses: number[]
  bytesIn: number
  bytesOut: number
  cacheHits: number
  /** Histogram: one count per bound of `latencyBoundsMs`, and a last count for longer durations. */
  latency: number[]
}
/** Upper bounds of the latency histogram in milliseconds. */
export const latencyBoundsMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000] as const

export interface LinkReports {
  traffic: { from: number; to: number; counters: TrafficCounters[] }
  access: { lines: AccessLine[]; dropped: number }
  health: { events: { instanceId: string; state: 'ejected' | 'restored'; reason: string; at: number }[] }
}

export type RouterMessage =
  | { type: 'hello'; workerId: number; pid: number; version: number; listening: boolean }
  | { type: 'ack'; version: number }
  /** The router could not apply this version of the table and keeps the previous one. */
  | { type: 'nack'; version: number; reason: string }
  /** Answer to `in-flight`: open requests and upgraded connections per requested instance. */
  | { type: 'in-flight'; requestId: number; counts: Record<string, number> }
  | { type: 'state-ack'; kind: string; revision: number; problem?: string }
  | { type: 'command-answer'; requestId: number; answer?: unknown; problem?: string }
  | { type: 'ask'; kind: string; requestId: number; ask: unknown }
  | { type: 'report'; kind: string; report: unknown }
/** The messages of a table; `parts`: number of parts between the head and the end. */
export type TableMessage =
  | { type: 'table-head'; head: TableHead; parts: number }
  | ({ type: 'table-part' } & TablePart)
  | { type: 'table-end'; version: number }
export type ControlMessage =
  | TableMessage
  | { type: 'in-flight'; requestId: number; instanceIds: string[] }
  | { type: 'state'; kind: string; revision: number; state: unknown }
  | { type: 'command'; kind: string; requestId: number; ask: unknown }
  | { type: 'ask-answer'; requestId: number; answer?: unknown; problem?: string }
