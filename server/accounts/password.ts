import { randomBytes } from 'node:crypto'
import { hash, type Options, verify } from '@node-rs/argon2'

/** argon2id, 19 MiB, two passes: OWASP's first recommendation. */
const parameters: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 }

export const hashPassword = (password: string): Promise<string> => hash(password.normalize('NFKC'), parameters)

let decoy: Promise<string> | undefined

/** Verifies a password. Constant effort: an unknown user takes as long as a wrong password. */
export async function checkPassword(stored: string | null | undefined, password: string): Promise<boolean> {
  decoy ??= hashPassword(randomBytes(24).toString('base64url'))
  const fits = await verify(stored ?? (await decoy), password.normalize('NFKC'))
  return stored ? fits : false
}
