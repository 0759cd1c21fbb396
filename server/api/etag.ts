import { createHash } from 'node:crypto'

/** Strong validator of a body (RFC 9110 §8.8.3). */
export const etagOf = (body: string | Uint8Array): string => `"${createHash('sha256').update(body).digest('base64url').slice(0, 32)}"`

/** A weak validator: it stays the same when a proxy compresses the answer (§8.8.1). */
export const weakEtagOf = (body: string | Uint8Array): string => `W/${etagOf(body)}`

const opaque = (etag: string): string => etag.trim().replace(/^W\//, '')

/** Whether the client already has this body. Weak comparison, as If-None-Match requires (§13.1.2). */
export function isFresh(headers: Headers, etag: string): boolean {
  const known = headers.get('if-none-match')
  if (known === null) return false
  return known.trim() === '*' || known.split(',').some((one) => opaque(one) === opaque(etag))
}
