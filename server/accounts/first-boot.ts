import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { newId } from '@/shared/node/ids'
import { hashApiKey, newApiKey, prefixOf } from '../api-keys/key'
import type { ServerEnv } from '../env'
import type { Secrets } from '../secrets/secrets'
import { insertFirstUser } from './accounts'
import { hashPassword } from './password'
import { installationIdSetting, lockSetup, setupCodeSetting } from './settings'
import { hashSetupCode, newSetupCode } from './setup-code'

export interface FirstBoot {
  /** Label on all resources of this installation; constant for the life of the database. */
  installationId: string
  /** The first team. */
  teamId: string
  /** One-time code for the first account, to be printed; null: an account exists. */
  code: string | null
}

interface Options {
  prisma: PrismaClient
  home: string
  secrets: Secrets
  bootstrap: ServerEnv['bootstrap']
  /** False in a process without the set-up page: a new code would invalidate the code already printed. */
  issueCode: boolean
}

const operatorKeyName = 'This machine'

/**
 * Prepares a database for sign-in. Runs at every start and keeps existing rows. Creates the first team, with an API key for commands on this
 * machine in `$home/secrets/operator.key`. While no account exists, creates it from the bootstrap settings, or issues a new one-time code
 * that invalidates every earlier code.
 */
export async function firstBoot(options: Options): Promise<FirstBoot> {
  const { prisma, home, secrets, bootstrap } = options
  // Hash before taking the lock: hashing is slow.
  const passwordHash = bootstrap && (await prisma.user.count()) === 0 ? await hashPassword(bootstrap.password) : null
  const operatorKey = await readOperatorKey(home)
  const { key, ...outcome } = await prisma.$transaction(async (tx) => {
    await lockSetup(tx)
    const installationId = await ensureInstallationId(tx)
    const teamId = await ensureFirstTeam(tx, secrets)
    const key = await ensureOperatorKey(tx, secrets, teamId, operatorKey)
    if (await tx.user.findFirst({ select: { id: true } })) return { installationId, teamId, code: null, key }
    if (bootstrap && passwordHash) {
      const userId = await insertFirstUser(tx, { email: bootstrap.email, passwordHash })
      if (bootstrap.apiKey) await insertKey(tx, secrets, { teamId, key: bootstrap.apiKey, name: 'Bootstrap', createdBy: userId })
      await tx.setting.deleteMany({ where: { key: setupCodeSetting } })
      return { installationId, teamId, code: null, key }
    }
    return { installationId, teamId, code: options.issueCode ? await issueSetupCode(tx) : null, key }
  })
  // Write the file after the commit: a key in the file that is missing in the database would be worse than the reverse.
  if (key !== operatorKey) await writeFileAtomic(operatorKeyFile(home), `${key}\n`)
  return outcome
}

async function ensureInstallationId(tx: Prisma.TransactionClient): Promise<string> {
  const known = await tx.setting.findUnique({ where: { key: installationIdSetting } })
  if (typeof known?.value === 'string') return known.value
  const id = newId()
  await tx.setting.create({ data: { key: installationIdSetting, value: id } })
  return id
}

async function ensureFirstTeam(tx: Prisma.TransactionClient, secrets: Secrets): Promise<string> {
  const known = await tx.team.findFirst({ orderBy: { createdAt: 'asc' }, select: { id: true } })
  if (known) return known.id
  const id = newId()
  await tx.team.create({ data: { id, name: 'My team', slug: 'my-team', dataKey: secrets.createDataKey(id) } })
  return id
}

async function issueSetupCode(tx: Prisma.TransactionClient): Promise<string> {
  const code = newSetupCode()
  const value = { hash: hashSetupCode(code) }
  await tx.setting.upsert({ where: { key: setupCodeSetting }, create: { key: setupCodeSetting, value }, update: { value } })
  return code
}

const operatorKeyFile = (home: string): string => path.join(home, 'secrets', 'operator.key')

/** Reads the operator key; null: no file. @throws when other users can read the file */
async function readOperatorKey(home: string): Promise<string | null> {
  const file = operatorKeyFile(home)
  const info = await stat(file).catch(() => null)
  if (!info) return null
  if (info.mode & 0o077)
    throw new AppError('ERR_FORBIDDEN', `${file} can be read by other users of this machine`, {
      nextAction: `Delete ${file}: a new key is made at the next start.`,
    })
  return (await readFile(file, 'utf8')).trim() || null
}

/** Returns the key from the file if the database still accepts it, else a new key; earlier operator keys of this machine are revoked. */
async function ensureOperatorKey(tx: Prisma.TransactionClient, secrets: Secrets, teamId: string, key: string | null): Promise<string> {
  if (key && (await tx.apiKey.findFirst({ where: { hash: hashApiKey(secrets, key), revokedAt: null } }))) return key
  await tx.apiKey.updateMany({
    where: { teamId, name: operatorKeyName, operator: true, createdBy: null, revokedAt: null },
    data: { revokedAt: new Date() },
  })
  const created = newApiKey()
  await insertKey(tx, secrets, { teamId, key: created, name: operatorKeyName, createdBy: null })
  return created
}

async function insertKey(
  tx: Prisma.TransactionClient,
  secrets: Secrets,
  input: { teamId: string; key: string; name: string; createdBy: string | null },
): Promise<void> {
  const { teamId, key, name, createdBy } = input
  await tx.apiKey.create({
    data: { id: newId(), teamId, name, prefix: prefixOf(key), hash: hashApiKey(secrets, key), role: 'OWNER', operator: true, createdBy },
  })
}
