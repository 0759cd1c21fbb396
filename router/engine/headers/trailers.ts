import { hopByHop } from '@/shared/hop-by-hop'
import { isUntrusted } from './untrusted-names'

/** Fields for framing, routing, content description or authentication are forbidden in trailers (RFC 9110 §6.5.1). */
const forbidden: ReadonlySet<string> = new Set([
  ...hopByHop,
  'content-length',
  'host',
  'authorization',
  'cookie',
  'set-cookie',
  'content-encoding',
  'content-type',
  'content-range',
  'expect',
  'cache-control',
])

/** Whether a field with this lower-case name may be forwarded as a trailer. */
export const mayTrail = (name: string): boolean => !forbidden.has(name) && !isUntrusted(name)
