import { randomBytes } from 'node:crypto'
import { AppError } from '@/shared/errors'
import { digestToken, hashPassword } from '@/shared/node/access-secrets'
import type { Protection } from '@/shared/project-rules'
import type { RulesPatch, RulesView } from '@/shared/rules-settings'

type ProtectionInput = NonNullable<RulesPatch['protection']>
const idLength = 12

export interface NewProtection {
  protection: Protection
  /** Shown once; only digests are stored. */
  newTokens: string[]
}

/**
 * Converts the input to its stored form. A user given without a password keeps the stored password.
 * @throws ERR_INVALID_INPUT when a user has no stored password, or two users have the same name
 */
export async function makeProtection(input: ProtectionInput, before: Protection | null): Promise<NewProtection> {
  if (input.kind === 'token') return makeTokens(input, before)
  const names = new Set(input.users.map(({ name }) => name))
  if (names.size < input.users.length) throw new AppError('ERR_INVALID_INPUT', 'Two users have the same name.', { nextAction: 'Give each its own.' })
  const known = new Map(before?.kind === 'basic' ? before.users.map(({ name, hash }) => [name, hash]) : [])
  const users: { name: string; hash: string }[] = []
  for (const { name, password } of input.users) {
    const hash = password === undefined ? known.get(name) : await hashPassword(password)
    if (hash === undefined) throw new AppError('ERR_INVALID_INPUT', `The user ${name} has no password yet.`, { nextAction: 'Set one.' })
    users.push({ name, hash })
  }
  return { protection: { kind: 'basic', users }, newTokens: [] }
}

function makeTokens({ keep, create }: Extract<ProtectionInput, { kind: 'token' }>, before: Protection | null): NewProtection {
  const kept = before?.kind === 'token' ? before.digests.filter((digest) => keep.includes(digest.slice(0, idLength))) : []
  const newTokens = Array.from({ length: create }, () => randomBytes(24).toString('base64url'))
  const digests = [...kept, ...newTokens.map(digestToken)]
  if (digests.length === 0)
    throw new AppError('ERR_INVALID_INPUT', 'Without a token nobody could open the app.', { nextAction: 'Create one, or turn the protection off.' })
  return { protection: { kind: 'token', digests }, newTokens }
}

/** Names and ids, without secrets. */
export function presentProtection(protection: Protection | null): NonNullable<RulesView['settings']['protection']> | null {
  if (protection === null) return null
  if (protection.kind === 'basic') return { kind: 'basic', users: protection.users.map(({ name }) => ({ name })) }
  return { kind: 'token', tokens: protection.digests.map((digest) => ({ id: digest.slice(0, idLength) })) }
}
