import { parseHttpDate } from './http-date'

/** Validators of the representation that would be sent. */
export interface Validators {
  /** With quotes, and `W/` if weak; null: none. */
  etag: string | null
  /** Whole seconds since 1970; null: unknown. */
  lastModified: number | null
}

/** Reads a header by its lower-case name. */
export type ReadHeader = (name: string) => string | undefined

const opaque = (etag: string) => (etag.startsWith('W/') ? etag.slice(2) : etag)
const listed = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

/** Entity tags of a list field; null: the list is `*`. */
export function parseEtags(text: string): string[] | null {
  return text.trim() === '*' ? null : (text.match(listed) ?? [])
}

/** Whether a list of entity tags contains this one; weak comparison (RFC 9110 §8.8.3.2). */
export function namesEtag(list: string, etag: string | null): boolean {
  const etags = parseEtags(list)
  if (etags === null) return true
  return etag !== null && etags.some((candidate) => opaque(candidate) === opaque(etag))
}

function namesEtagStrongly(list: string, etag: string | null): boolean {
  const etags = parseEtags(list)
  if (etags === null) return true
  return etag !== null && !etag.startsWith('W/') && etags.includes(etag)
}

/**
 * Evaluates preconditions in the order of RFC 9110 §13.2.2, for a GET or HEAD whose answer would be 200. If-Modified-Since must equal the
 * date sent before: after a rollback, older files replace newer ones.
 */
export function checkPreconditions(header: ReadHeader, validators: Validators): 'send' | 'not-modified' | 'failed' {
  const { etag, lastModified } = validators
  const ifMatch = header('if-match')
  if (ifMatch !== undefined) {
    if (!namesEtagStrongly(ifMatch, etag)) return 'failed'
  } else {
    const since = parseHttpDate(header('if-unmodified-since'))
    if (since !== null && lastModified !== null && lastModified > since) return 'failed'
  }
  const ifNoneMatch = header('if-none-match')
  if (ifNoneMatch !== undefined) return namesEtag(ifNoneMatch, etag) ? 'not-modified' : 'send'
  const since = parseHttpDate(header('if-modified-since'))
  return since !== null && since === lastModified ? 'not-modified' : 'send'
}

/** Whether If-Range allows the Range field (RFC 9110 §13.1.5): strong comparison, or the exact date. */
export function rangeStands(ifRange: string | undefined, validators: Validators): boolean {
  if (ifRange === undefined) return true
  const value = ifRange.trim()
  if (value.startsWith('"')) return value === validators.etag
  if (value.startsWith('W/')) return false
  // A date is a strong validator only if the file cannot have changed twice within that second: our files are unpacked once.
  const date = parseHttpDate(value)
  return date !== null && date === validators.lastModified
}
