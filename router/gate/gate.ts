import type { CacheState } from '@/shared/link'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'

/** What decisions are made from. Engines fill it lazily: nothing is decoded that no rule asks for. */
export interface RequestFacts {
  readonly method: string
  /** Canonical (see `parseAuthority`). */
  readonly host: string
  /** As sent, percent-encoded, from `/` up to the query; `*` for OPTIONS. */
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  /** `path` and `query`, as sent. */
  readonly target: string
  /** What `host` was read from: with the port, as the visitor wrote it, in lower case. */
  readonly authority: string
  readonly scheme: 'http' | 'https'
  /** IP literal of the visitor (the PROXY protocol's, where that is on). */
  readonly clientIp: string
  readonly requestId: string
  /** `name` in lower case; repeated lines joined by `, ` (cookies by `; `). */
  header(name: string): string | undefined
  /** Whether there is such a header, which costs less than to read it. */
  has(name: string): boolean
}

/** A body that is not in memory: a range of a file, or a compressed stream. */
export interface StreamedBody {
  /** Bytes that will come, or null when unknown (then chunked). */
  length: number | null
  open(): NodeJS.ReadableStream
}

/** An answer of our own: rule, page, file, cached answer. Without Connection, Date, X-Request-Id, which are the writer's. */
export interface LocalAnswer {
  status: number
  reason?: string
  /** Carries Content-Length itself where one belongs. */
  headers: [string, string][]
  /** HEAD requests: the writer leaves it out. */
  body: Buffer | StreamedBody | null
  /**
   * Fast path of HTTP/1.1: status line and headers as bytes, each line ended by CRLF, without the empty line. Says the same as
   * `status`, `reason` and `headers`.
   */
  head?: Buffer
  cache: CacheState
  /** For the access log: which rule or problem answered. */
  why: string | null
  /** After it the connection is closed: the rest of the request is not wanted. */
  close?: boolean
}

export interface HeaderEdits {
  /** Lower-case names taken out first. */
  remove: string[]
  /** Then written, replacing what had the name. */
  set: [string, string][]
  /** Then added beside what is there (Set-Cookie, Vary). */
  append: [string, string][]
}

/** Sees the instance's answer, and may change, store or replace it. The slow path of an answer: only made when one is wanted. */
export interface AnswerFilter {
  /**
   * A look at the head before anything is made of it: `read` gives a field by its lower-case name, repeated lines joined by `, `. False:
   * `onHead` need not be called, the answer passes as it is. Engines with a fast path ask it first; without it every head is wanted.
   * `length`: Content-Length where the engine has read it already, -1 when there is none.
   */
  wants?(status: number, read: (name: string) => string | undefined, length?: number): boolean
  /** One object serves many answers: it has no state of its own, and `abort` need not be called. */
  readonly shared?: boolean
  /**
   * Called once with the final head (never 1xx), hop-by-hop headers already cut, Content-Length still there.
   * null: pass the answer as it is. `through`: payload (de-chunked) is written into it, and what it gives is sent instead, chunked unless
   * the new headers name a length. `replace`: the instance's answer is dropped and this one is sent.
   */
  onHead(
    status: number,
    headers: [string, string][],
  ): null | { status: number; headers: [string, string][]; through: NodeJS.ReadWriteStream | null } | { replace: LocalAnswer }
  /** Once, when the answer broke off before its end, never came, or the client left: nothing half may be kept. */
  abort(): void
  readonly cache: CacheState
}

/** A rewrite to an address outside of the table, which an operator allowed; resolved and checked when the plan is made. */
export interface OutsideTarget {
  scheme: 'http' | 'https'
  /** IP literal, pinned. */
  address: string
  port: number
  /** For the Host header and SNI. */
  hostname: string
}

export interface ForwardPlan {
  kind: 'forward'
  /** Whose targets serve: the matched route, or another project's after a rewrite. */
  route: LiveRoute
  outside: OutsideTarget | null
  /** New request target (path and query), or null: byte for byte as it came. */
  target: string | null
  requestHeaders: HeaderEdits | null
  /** Made to what `filter` gives; not to an answer that replaces the instance's, which the gate has made them to. */
  responseHeaders: HeaderEdits | null
  filter: AnswerFilter | null
  /** Bytes of body beyond which the request is refused with 413; null: no limit. */
  maxBodyBytes: number | null
}

export type Admission = ForwardPlan | { kind: 'answer'; answer: LocalAnswer } | { kind: 'problem'; problem: Problem }

/**
 * Everything between the head of a request and its instance, the same for every engine: HTTPS redirect, ACME challenges, protection,
 * limits, rules, static content, cache. Synchronous whenever it can be: only disk and deliberate waiting give a promise.
 */
export interface Gate {
  admit(route: LiveRoute, facts: RequestFacts): Admission | Promise<Admission>
  /** No route has this host: an ACME challenge, or the page that says so. */
  admitUnknown(facts: RequestFacts): Admission | Promise<Admission>
  /** A page of ours for `problem` on this route: the project's own error page where it has one. */
  problem(problem: Problem, route: LiveRoute | null, facts: RequestFacts): LocalAnswer | Promise<LocalAnswer>
}

/** A whole answer, at once where it is in memory. */
export type Found = LocalAnswer | null | Promise<LocalAnswer | null>

/** Static artifacts. Called only for routes that have `content`, and only for GET and HEAD. */
export interface ContentSource {
  /**
   * The file at `path` (as sent or as rewritten: percent-encoded, without query), `index.html` for directories, `path.html` where the
   * policy says cleanUrls; with conditions, ranges and encodings of `facts` honoured. null: there is no such file. Answers are not
   * changed by who is given them.
   */
  find(route: LiveRoute, path: string, facts: RequestFacts): Found
  /** When nothing else answered: `/index.html` with 200 of an SPA, else the artifact's `404.html` with 404, else null. */
  fallback(route: LiveRoute, facts: RequestFacts): Found
  /** The file at `path` whole, without conditions and ranges, to be shown with another status. */
  page(route: LiveRoute, path: string, facts: RequestFacts): Found
}

/** Makes a filter for the answer to come; null: it can pass as it is, which is the fast path. */
export interface FilterSource {
  filter(route: LiveRoute, facts: RequestFacts): AnswerFilter | null
}

/** Answers of instances that may be shared (RFC 9111). Not asked where the policy turned it off, or where the visitor passed protection. */
export interface AnswerCache extends FilterSource {
  /**
   * A stored answer that may be sent now. `target`: path and query after rewrites, the key beside the route's project and host; null: as
   * `facts` say, which need not be asked where nothing is stored.
   */
  lookup(route: LiveRoute, target: string | null, facts: RequestFacts): Found
  /**
   * After `lookup` gave null: request fields to set, by which the instance may answer 304 for what is stored but no longer fresh. The
   * filter turns that 304 into the stored answer. null: none, or the visitor's own conditions are to reach the instance.
   */
  conditions(route: LiveRoute, target: string | null, facts: RequestFacts): [string, string][] | null
  /** The instance could not be asked: a stored answer that allows to be sent in place of the error (stale-if-error), or null. */
  insteadOfError(route: LiveRoute, target: string | null, facts: RequestFacts): Found
  /** `target` as at `lookup`; what it sees is stored under it. Asked for every method: unsafe ones make what is stored invalid. */
  filter(route: LiveRoute, facts: RequestFacts, target?: string | null): AnswerFilter | null
}

/** A gate whose table changes. */
export interface TableGate extends Gate {
  /** To be called before the engine is given the same table. */
  apply(table: HostTable): void
  /** http-01: token → key authorization; replaces what there was. */
  setChallenges(http: Readonly<Record<string, string>>): void
  close(): void
}
