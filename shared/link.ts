import type { TableHead, TablePart } from './route-table'

/**
 * Control ⇄ router, newline-delimited JSON over a unix socket (`$SWITCHYARD_HOME/run/edge.sock`, 0600). The control plane listens,
 * each router worker connects, says `hello`, is sent the newest table and every state, and answers `ack` once it serves them. A router
 * that is not connected keeps serving what it has. Tables apart, four kinds of talk, each typed by its map below:
 * `state` (control → all, remembered, acknowledged), `command` (control → all, each answers), `ask` (router → control, answered),
 * `report` (router → control, unanswered; may be lost).
 *
 * A table is a head, parts of at most `tablePartBytes`, an end: neither side has ever more to do at once than one part. Other messages may
 * come between them. What is not whole when the next head comes, or the connection ends, never was. A part of which nothing changed is
 * the same bytes as in the table before (`shared/node/table-frames.ts`): whoever has it made already need not make it again.
 */

/**
 * JSON of one part: what takes a router at most two milliseconds to check and take in. One route, policy or certificate may be longer.
 */
export const tablePartBytes = 48 * 1024

/**
 * The longest message of the control plane, and the most that a table may be in all its parts. A table of a million routes is about 300 MB of JSON; what a table may hold is bounded well
 * below this where it is made (`server/routes/sound-routes.ts`).
 */
export const maxControlFrameBytes = 512 * 1024 * 1024

/** Whole values, newest wins, sent again to whoever says hello. */
export interface LinkStates {
  /** Answers to the CA's questions that are pending. */
  challenges: {
    /** http-01: token → key authorization. */
    http: Record<string, string>
    /** tls-alpn-01 (RFC 8737): hostname → self-signed certificate with the acmeIdentifier extension. */
    alpn: Record<string, { certificatePem: string; keyPem: string }>
  }
  /** Projects somebody watches live right now. */
  watched: { projectIds: string[] }
}

export interface LinkCommands {
  purge: { ask: { projectId: string; tags?: string[]; paths?: string[] }; answer: { entries: number } }
  /** Ends what is open towards these instances, which are about to stop: WebSockets get a close frame. Answered when that is done. */
  'end-connections': { ask: { instanceIds: string[] }; answer: { ended: number } }
}

export interface LinkQueries {
  /** Chain and key of certificates the table names; unknown ids are left out of the answer. */
  certificates: { ask: { ids: string[] }; answer: { certificates: { id: string; chainPem: string; keyPem: string }[] } }
  /** Wakes the instances of a sleeping deployment; answered once told, the new targets come with the next table. */
  wake: { ask: { deploymentId: string }; answer: { accepted: boolean } }
}

export type CacheState = 'hit' | 'stale' | 'miss' | 'revalidated' | 'bypass' | 'static' | 'none'

/** One line of the access log. */
export interface AccessLine {
  /** ms since 1970, when the request's head was complete. */
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
  /** Until the instance's head; null when none was asked. */
  upstreamMs: number | null
  bytesIn: number
  bytesOut: number
  cache: CacheState
  protocol: 'http/1.0' | 'http/1.1' | 'h2' | 'websocket'
  scheme: 'http' | 'https'
  clientIp: string
  userAgent: string
  /** Which rule or fault answered instead of the app; null: the app did. */
  reason: string | null
}

/** Counters of one host or target since the last report. */
export interface TrafficCounters {
  projectId: string | null
  deploymentId: string | null
  host: string
  instanceId: string | null
  requests: number
  /** Of all requests together, in milliseconds. */
  durationMs: number
  /** Six: index 1–5 by first digit of the status, 0 for clients that left before an answer. */
  statuses: number[]
  bytesIn: number
  bytesOut: number
  cacheHits: number
  /** Counts by upper bound, see `latencyBoundsMs`; one more than bounds. */
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
  /** `version` of the table could not be applied; the old one stays. */
  | { type: 'nack'; version: number; reason: string }
  /** Answer to `in-flight`: requests and upgraded connections open towards each asked instance. */
  | { type: 'in-flight'; requestId: number; counts: Record<string, number> }
  | { type: 'state-ack'; kind: string; revision: number; problem?: string }
  | { type: 'command-answer'; requestId: number; answer?: unknown; problem?: string }
  | { type: 'ask'; kind: string; requestId: number; ask: unknown }
  | { type: 'report'; kind: string; report: unknown }
/** The messages that carry a table; `parts`: how many come between this head and its end. */
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
