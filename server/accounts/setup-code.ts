import { createHash, randomInt, timingSafeEqual } from 'node:crypto'

/** Excludes characters that look alike: people type the code from a terminal or a log. */
const alphabet = 'ABCDEFGHJKMNPQRSTVWXYZ23456789'
const groups = 4
const groupLength = 4

/** A random one-time code of four groups of four characters, joined by dashes; about 78 bits of entropy. */
export function newSetupCode(): string {
  const letters = Array.from({ length: groups * groupLength }, () => alphabet.charAt(randomInt(alphabet.length)))
  return Array.from({ length: groups }, (_, i) => letters.slice(i * groupLength, (i + 1) * groupLength).join('')).join('-')
}

/** Hashes a code, ignoring case, spaces and dashes. */
export const hashSetupCode = (code: string): string =>
  createHash('sha256')
    .update(code.toUpperCase().replace(/[^A-Z0-9]/g, ''))
    .digest('hex')

export function fitsSetupCode(hash: string, code: string): boolean {
  return timingSafeEqual(Buffer.from(hash, 'hex'), Buffer.from(hashSetupCode(code), 'hex'))
}
