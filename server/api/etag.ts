import { createHash } from 'node:crypto'

/** Strong validator of a body (RFC 9110 §8.8.3). */
export const etagOf = (body: string | Uint8Array): string => `"${createHash('sha256').update(body).digest('base64url').slice(0, 32)}"`

/** Weak one: what is compressed on its way is still the same answer, though other bytes (§8.8.1). */
export const weakEtagOf = (body: string | Uint8Array): string => `W/${etagOf(body)}`

const opaque = (etag: string): string => etag.trim().replace(/^W\//, '')

/** True when the client has this very body already. Compared weakly, as If-None-Match asks for (§13.1.2). */
export function isFresh(headers: Headers, etag: string): boolean {
  const known = headers.get('if-none-match')
  if (known === null) return false
  return known.trim() === '*' || known.split(',').some((one) => opaque(one) === opaque(etag))
}
