import { hopByHop } from '@/shared/hop-by-hop'
import { isUntrusted } from './untrusted-names'

/** Fields that frame, route, describe or authenticate a message may not come after it (RFC 9110 §6.5.1). */
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

/** Whether a field of this name, in lower case, passes on behind a body. */
export const mayTrail = (name: string): boolean => !forbidden.has(name) && !isUntrusted(name)
