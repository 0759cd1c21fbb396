import type { CacheState } from '@/shared/link'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'

/** Request facts for decisions. Engines compute them lazily, so nothing is decoded that no rule uses. */
export interface RequestFacts {
  readonly method: string
  /** Canonical form (see `parseAuthority`). */
  readonly host: string
  /** As sent, percent-encoded, from `/` up to the query; `*` for OPTIONS. */
  readonly path: string
  /** With leading `?`, or empty. */
  readonly query: string
  /** `path` and `query`, as sent. */
  readonly target: string
  /** The host as the visitor sent it, with the port, in lower case; source of `host`. */
  readonly authority: string
  readonly scheme: 'http' | 'https'
  /** IP literal of the visitor: of the connection, of its PROXY header, or the one that a trusted proxy names. */
  readonly clientIp: string
  /** X-Forwarded-For for the instance: the visitor, then the trusted proxies that the request passed. */
  readonly forwardedFor: string
  readonly requestId: string
  /** `name` in lower case; repeated lines joined by `, ` (cookies by `; `). */
  header(name: string): string | undefined
  /** Whether the header exists; cheaper than reading its value. */
  has(name: string): boolean
}

/** A body that is not in memory: a range of a file, or a compressed stream. */
export interface StreamedBody {
  /** Length in bytes; null: unknown, sent chunked. */
  length: number | null
  open(): NodeJS.ReadableStream
}

/** An answer made by the router: rule, page, file or cached answer. Without Connection, Date and X-Request-Id, which the writer adds. */
export interface LocalAnswer {
  status: number
  reason?: string
  /** Includes Content-Length if the answer needs it. */
  headers: [string, string][]
  /** For HEAD requests the writer omits the body. */
  body: Buffer | StreamedBody | null
  /**
   * Fast path of HTTP/1.1: status line and headers as bytes, each line ended by CRLF, without the empty line. Equivalent to `status`,
   * `reason` and `headers`.
   */
  head?: Buffer
  cache: CacheState
  /** For the access log: which rule or problem answered. */
  why: string | null
  /** Close the connection after this answer: the rest of the request is not read. */
  close?: boolean
}

export interface HeaderEdits {
  /** Lower-case names to remove first. */
  remove: string[]
  /** Fields set after the removal; each replaces fields of the same name. */
  set: [string, string][]
  /** Fields appended last, in addition to those of the same name (Set-Cookie, Vary). */
  append: [string, string][]
}

/** Receives the instance's answer and may change, store or replace it. This is the slow path of an answer. */
export interface AnswerFilter {
  /**
   * Inspects the head before it is converted: `read` returns a field by its lower-case name, repeated lines joined by `, `. False: the
   * answer passes unchanged and `onHead` is not called. Without this method `onHead` is called for every answer. `length`: Content-Length
   * if the engine has already parsed it, -1 if absent.
   */
  wants?(status: number, read: (name: string) => string | undefined, length?: number): boolean
  /** The filter is stateless and shared by many answers; `abort` need not be called. */
  readonly shared?: boolean
  /**
   * Called once with the final head (never 1xx), without hop-by-hop headers but with Content-Length. Returns null to pass the answer
   * unchanged. `through`: a stream that transforms the (de-chunked) payload; the result is sent chunked unless the new headers have
   * Content-Length. `replace`: this answer is sent instead of the instance's.
   */
  onHead(
    status: number,
    headers: [string, string][],
  ): null | { status: number; headers: [string, string][]; through: NodeJS.ReadWriteStream | null } | { replace: LocalAnswer }
  /** Called once if the answer broke off, never came, or the client left: partial answers must not be stored. */
  abort(): void
  readonly cache: CacheState
}

/** A rewrite to a host outside the route table that the operator allows; resolved and checked when the plan is made. */
export interface OutsideTarget {
  scheme: 'http' | 'https'
  /** IP literal that was checked; connections use it without resolving again. */
  address: string
  port: number
  /** Used for the Host header and SNI. */
  hostname: string
}

export interface ForwardPlan {
  kind: 'forward'
  /** The route whose targets serve the request: the matched route, or another project's after a rewrite. */
  route: LiveRoute
  outside: OutsideTarget | null
  /** New request target (path and query); null: unchanged. */
  target: string | null
  requestHeaders: HeaderEdits | null
  /** Applied to the output of `filter`. The gate has already applied them to an answer that replaces the instance's. */
  responseHeaders: HeaderEdits | null
  filter: AnswerFilter | null
  /** Larger request bodies are refused with 413; null: no limit. */
  maxBodyBytes: number | null
}

export type Admission = ForwardPlan | { kind: 'answer'; answer: LocalAnswer } | { kind: 'problem'; problem: Problem }

/**
 * All decisions between a request's head and its instance, shared by all engines: HTTPS redirect, ACME challenges, protection, limits,
 * rules, static content, cache. Synchronous unless a disk read or a deliberate wait is needed.
 */
export interface Gate {
  admit(route: LiveRoute, facts: RequestFacts): Admission | Promise<Admission>
  /** For a host without route: answers an ACME challenge, or shows an error page. */
  admitUnknown(facts: RequestFacts): Admission | Promise<Admission>
  /** The error page for `problem`: the project's own page if it has one. */
  problem(problem: Problem, route: LiveRoute | null, facts: RequestFacts): LocalAnswer | Promise<LocalAnswer>
}

/** A complete answer, synchronously if it is in memory; null: none. */
export type Found = LocalAnswer | null | Promise<LocalAnswer | null>

/** Static artifacts. Called only for routes that have `content`, and only for GET and HEAD. */
export interface ContentSource {
  /**
   * The file at `path` (as sent or rewritten: percent-encoded, without query), `index.html` for directories, `path.html` if the policy has
   * cleanUrls; applies conditions, ranges and encodings of `facts`. null: no such file. Callers must not modify the answer.
   */
  find(route: LiveRoute, path: string, facts: RequestFacts): Found
  /** For requests without another answer: `/index.html` with 200 for an SPA, else the artifact's `404.html` with 404, else null. */
  fallback(route: LiveRoute, facts: RequestFacts): Found
  /** The whole file at `path`, without conditions and ranges, to be sent with another status. */
  page(route: LiveRoute, path: string, facts: RequestFacts): Found
}

/** Makes a filter for the expected answer; null: the answer passes unchanged (fast path). */
export interface FilterSource {
  filter(route: LiveRoute, facts: RequestFacts): AnswerFilter | null
}

/** Shared cache for answers of instances (RFC 9111). Not used where the policy turns it off or where the visitor passed protection. */
export interface AnswerCache extends FilterSource {
  /**
   * A stored answer that may be sent now. `target`: path and query after rewrites, part of the key with the route's project and host; null:
   * not rewritten.
   */
  lookup(route: LiveRoute, target: string | null, facts: RequestFacts): Found
  /**
   * Validators for a revalidation request, after `lookup` returned null: the instance may answer 304 for the stale stored answer, and the
   * filter turns that 304 into the stored answer. null: nothing to revalidate, or the visitor sent conditions of its own.
   */
  conditions(route: LiveRoute, target: string | null, facts: RequestFacts): [string, string][] | null
  /** A stored answer that may replace an error because the instance is unreachable (stale-if-error); null: none. */
  insteadOfError(route: LiveRoute, target: string | null, facts: RequestFacts): Found
  /** A filter that stores the answer under `target` (see `lookup`). Called for every method: unsafe methods invalidate stored answers. */
  filter(route: LiveRoute, facts: RequestFacts, target?: string | null): AnswerFilter | null
}

/** A gate whose route table can be replaced. */
export interface TableGate extends Gate {
  /** Call before the engine gets the same table. */
  apply(table: HostTable): void
  /** http-01: token → key authorization. Replaces all previous challenges. */
  setChallenges(http: Readonly<Record<string, string>>): void
  close(): void
}
