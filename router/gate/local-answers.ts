import type { RedirectRule } from '@/shared/project-rules'
import { editPairs } from '../engine/http-proxy/edits'
import { domainCheck } from '../observe/observer'
import type { HeaderEdits, LocalAnswer } from './gate'

/** `location` is already encoded. Clients may cache permanent redirects for an hour only, because rules change. */
export function redirectAnswer(status: RedirectRule['status'], location: string, why: string, hstsSeconds: number | null): LocalAnswer {
  const body = Buffer.from(`Redirecting to ${location}\n`)
  const headers: [string, string][] = [
    // Node writes headers as latin1: percent-encode all other characters.
    ['Location', location.replace(/[^\x21-\x7e]/g, (sign) => encodeURIComponent(sign.toWellFormed()))],
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Length', String(body.length)],
    ['Cache-Control', status === 301 || status === 308 ? 'max-age=3600' : 'no-store'],
  ]
  if (hstsSeconds !== null) headers.push(['Strict-Transport-Security', `max-age=${hstsSeconds}`])
  return { status, headers, body, cache: 'none', why }
}

/** The answer to an http-01 challenge or to the domain doctor's probe (RFC 8555 §8.3). */
export function challengeAnswer(keyAuthorization: string): LocalAnswer {
  const body = Buffer.from(keyAuthorization)
  const headers: [string, string][] = [
    ['Content-Type', 'application/octet-stream'],
    ['Content-Length', String(body.length)],
    ['Cache-Control', 'no-store'],
  ]
  return { status: 200, headers, body, cache: 'none', why: domainCheck }
}

/** Shared caches must not store an answer to a visitor who passed protection. */
export function asPrivate(answer: LocalAnswer): LocalAnswer {
  const shared = answer.headers.some(([name, value]) => name.toLowerCase() === 'cache-control' && /\b(?:public|s-maxage)\b/i.test(value))
  if (!shared) return answer
  const { head: _, ...rest } = answer
  const privately = (value: string) => value.replace(/\bpublic\b/i, 'private').replace(/,?\s*\bs-maxage=\d+/i, '')
  return { ...rest, headers: answer.headers.map(([name, value]) => [name, name.toLowerCase() === 'cache-control' ? privately(value) : value]) }
}

/** Encoded lines of edits that only add fields, cached for the lifetime of their policy. */
const encoded = new WeakMap<HeaderEdits, Buffer>()

/** Applies header edits to a copy of the answer; the original is shared and stays unchanged. */
export function editAnswer(answer: LocalAnswer, edits: HeaderEdits | null): LocalAnswer {
  if (edits === null) return answer
  const headers = editPairs(answer.headers, edits)
  if (answer.head === undefined) return { ...answer, headers }
  const touched = new Set([...edits.remove, ...edits.set.map(([name]) => name.toLowerCase())])
  const { head, ...rest } = answer
  if (answer.headers.some(([name]) => touched.has(name.toLowerCase()))) return { ...rest, headers }
  return { ...rest, headers, head: Buffer.concat([head, linesOf(edits)]) }
}

function linesOf(edits: HeaderEdits): Buffer {
  const known = encoded.get(edits)
  if (known) return known
  const lines = Buffer.from([...edits.set, ...edits.append].map(([name, value]) => `${name}: ${value}\r\n`).join(''), 'latin1')
  encoded.set(edits, lines)
  return lines
}

/**
 * Replaces the body of the router's error answer with the project's page: keeps type and length of the page, drops its validators.
 * `fields`: header fields of the problem.
 */
export function withStatus(page: LocalAnswer, ours: LocalAnswer, fields: [string, string][]): LocalAnswer {
  const dropped = new Set([
    'etag',
    'last-modified',
    'cache-control',
    'accept-ranges',
    'expires',
    'age',
    ...fields.map(([name]) => name.toLowerCase()),
  ])
  const kept = page.headers.filter(([name]) => !dropped.has(name.toLowerCase()))
  const { status, why, close = false } = ours
  return { status, headers: [...kept, ['Cache-Control', 'no-store'], ...fields], body: page.body, cache: 'none', why, close }
}
