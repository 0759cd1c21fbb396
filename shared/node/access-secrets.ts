import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** Cost of a new hash: 16 MiB of memory and about 40 ms of one core. */
const cost = { N: 16_384, r: 8, p: 1 }
const keyBytes = 32

/** `scrypt$N$r$p$salt$hash`, salt and hash in base64url (RFC 7914). */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, salt, cost)
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), hash.toString('base64url')].join('$')
}

/** Whether `password` gave this hash; false for a hash that cannot be read or would cost too much. Never throws. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [kind, n, r, p, salt, hash] = stored.split('$')
  const given = { N: Number(n), r: Number(r), p: Number(p) }
  const bearable = given.N >= 2 && given.N <= 131_072 && given.r >= 1 && given.r <= 16 && given.p >= 1 && given.p <= 4
  if (kind !== 'scrypt' || !salt || !hash || !bearable) return false
  try {
    const expected = Buffer.from(hash, 'base64url')
    const actual = await derive(password, Buffer.from(salt, 'base64url'), given)
    return expected.length === actual.length && timingSafeEqual(expected, actual)
  } catch {
    return false
  }
}

/** SHA-256 in hex: tokens are long and random, so a fast hash is enough. */
export function digestToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex')
}

function derive(password: string, salt: Buffer, { N, r, p }: typeof cost): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(password, salt, keyBytes, { N, r, p, maxmem: 256 * N * r + 1024 * 1024 }, (error, key) => (error ? reject(error) : resolve(key))),
  )
}
