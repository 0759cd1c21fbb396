import { isUntrusted } from '../engine/headers/untrusted-names'
import { areKnownCodings } from '../http/encodings'
import { parseHttpDate } from '../http/http-date'

/** Reads a header by its lower-case name; repeated lines joined by `, `. */
export type ReadHeader = (name: string) => string | undefined

/** How long an answer may be used (RFC 9111, RFC 5861). */
export interface Lifetime {
  freshMs: number
  /** Time after `freshMs` during which a stale answer is sent while a new one is fetched in the background. */
  staleWhileRevalidateMs: number
  /** Time after `freshMs` during which a stale answer may replace an error. */
  staleIfErrorMs: number
}

/** Statuses that may be stored with explicit freshness. */
const storableStatuses = new Set([200, 203, 204, 300, 301, 302, 307, 308, 404, 410])
const maxSeconds = 365 * 86_400

/** Directives of a Cache-Control-like field, names in lower case; of conflicting durations the shorter applies. */
export function parseDirectives(text: string | undefined): Map<string, string | null> {
  const directives = new Map<string, string | null>()
  for (const match of (text ?? '').matchAll(/([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*)))?/g)) {
    const name = (match[1] ?? '').toLowerCase()
    const value = match[2] ?? match[3] ?? null
    const before = directives.get(name)
    if (before === undefined || secondsOf(value) < secondsOf(before)) directives.set(name, value)
  }
  return directives
}

/** Delta-seconds. Invalid or missing: 0, which means stale at once (RFC 9111 §4.2.1). */
function secondsOf(value: string | null | undefined): number {
  return value !== null && value !== undefined && /^\d+$/.test(value) ? Math.min(Number(value), maxSeconds) : 0
}

/**
 * How long a shared cache may store an answer; null: not at all. Requires explicit freshness: `s-maxage`, `public` with `max-age` or
 * Expires, or CDN-Cache-Control (RFC 9213), which overrides the others. Never stored: answers with Set-Cookie, `private`, `no-store`,
 * `no-cache` (also for single fields), `Vary: *`, or a Vary on fields that the router sets per visitor. With Authorization only as RFC 9111
 * §3.5 allows.
 */
export function lifetimeOf(request: { authorized: boolean }, status: number, read: ReadHeader): Lifetime | null {
  if (!storableStatuses.has(status)) return null
  const targeted = targetedDirectives(read('cdn-cache-control'))
  const directives = targeted ?? parseDirectives(read('cache-control'))
  if (directives.size === 0) return null
  for (const name of ['no-store', 'no-cache', 'private']) if (directives.has(name)) return null
  // Clients that accept an unknown encoding cannot be distinguished from those that do not (see `encodingVariant`).
  if (!areKnownCodings(read('content-encoding'))) return null
  if (read('set-cookie') !== undefined || read('content-range') !== undefined || variesByVisitor(read('vary'))) return null
  const shared = directives.has('public') || directives.has('s-maxage')
  if (request.authorized && !shared && !directives.has('must-revalidate')) return null
  if (!shared && !targeted) return null
  const freshMs = freshMsOf(directives, targeted ? () => undefined : read)
  const revalidates = directives.has('must-revalidate') || directives.has('proxy-revalidate')
  const extra = (name: string) => (revalidates ? 0 : secondsOf(directives.get(name)) * 1000)
  const lifetime = { freshMs, staleWhileRevalidateMs: extra('stale-while-revalidate'), staleIfErrorMs: extra('stale-if-error') }
  return lifetime.freshMs + lifetime.staleWhileRevalidateMs > 0 ? lifetime : null
}

/** Fields set by the router that are already part of the cache key. */
export const heldByKey: ReadonlySet<string> = new Set(['x-forwarded-proto', 'x-forwarded-host'])

/** Whether Vary names fields that the router sets per visitor. */
function variesByVisitor(vary: string | undefined): boolean {
  if (vary === undefined) return false
  if (vary.includes('*')) return true
  return vary.split(',').some((field) => {
    const name = field.trim().toLowerCase()
    return isUntrusted(name) && !heldByKey.has(name)
  })
}

/** Whether an answer explicitly forbids sharing. */
export function isUnshared(read: ReadHeader): boolean {
  const directives = targetedDirectives(read('cdn-cache-control')) ?? parseDirectives(read('cache-control'))
  return ['no-store', 'no-cache', 'private'].some((name) => directives.has(name))
}

function freshMsOf(directives: Map<string, string | null>, read: ReadHeader): number {
  for (const name of ['s-maxage', 'max-age']) if (directives.has(name)) return secondsOf(directives.get(name)) * 1000
  const until = parseHttpDate(read('expires'))
  if (until === null) return 0
  const from = parseHttpDate(read('date')) ?? Math.floor(Date.now() / 1000)
  return Math.max(0, Math.min(maxSeconds, until - from)) * 1000
}

/** null: the field is absent, empty or not a dictionary (RFC 8941), and is ignored. */
function targetedDirectives(text: string | undefined): Map<string, string | null> | null {
  if (text === undefined || text.trim() === '') return null
  const member = /^\s*[a-z*][a-z0-9_.*-]*(?:=(?:-?\d{1,15}|\?[01]|[A-Za-z*][\w:/.*-]*|"[^"\\]*"))?\s*$/
  return text.split(',').every((part) => member.test(part)) ? parseDirectives(text) : null
}

/** The age an answer already had (RFC 9111 §5.1), in milliseconds. */
export function initialAgeMs(read: ReadHeader): number {
  return secondsOf(read('age')?.trim()) * 1000
}

/** `no-transform`: intermediaries must not change the payload. */
export const isUntransformable = (read: ReadHeader): boolean => parseDirectives(read('cache-control')).has('no-transform')

/** Tags to purge by: Cache-Tag (commas), Surrogate-Key (blanks). */
export function tagsOf(read: ReadHeader): string[] {
  const tags = [...(read('cache-tag') ?? '').split(','), ...(read('surrogate-key') ?? '').split(/\s+/)].map((tag) => tag.trim())
  return [...new Set(tags.filter((tag) => tag !== '' && tag.length <= 256))].slice(0, 128)
}
