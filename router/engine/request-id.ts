import { randomFillSync } from 'node:crypto'

const pool = Buffer.allocUnsafeSlow(8192)
let used = pool.length
const hexPairs = Uint8Array.from(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join('')))
const dash = 45

export const requestIdBytes = 36

/** Writes a new random UUID (RFC 9562, version 4) as text into the 36 bytes of `into`, without making a string. */
export function newRequestId(into: Buffer): void {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  pool[used + 6] = ((pool[used + 6] as number) & 0x0f) | 0x40
  pool[used + 8] = ((pool[used + 8] as number) & 0x3f) | 0x80
  let at = 0
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) into[at++] = dash
    const pair = (pool[used + i] as number) * 2
    into[at++] = hexPairs[pair] as number
    into[at++] = hexPairs[pair + 1] as number
  }
  used += 16
}
