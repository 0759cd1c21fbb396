import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { TeamView } from '@/shared/views'
import { findActorOfApiKey } from '../api-keys/api-keys'
import { scopeTo } from '../database/scope'
import type { Actor, Platform } from '../platform'
import type { Role } from '../teams/policy'
import { checkPassword, hashPassword } from './password'
import { createRateLimit } from './rate-limit'
import { lockSetup, setupCodeSetting } from './settings'
import { fitsSetupCode } from './setup-code'

const minuteMs = 60_000

/** One spelling for each address: what is stored, compared and counted. */
export const normalizeEmail = (email: string): string => email.normalize('NFKC').trim().toLowerCase()

/** Use-cases about who may come in. */
export function createAccounts({ prisma }: { prisma: PrismaClient }): Platform['accounts'] {
  const limits = {
    // One guesser at one account; one guesser at many; many guessers at one.
    pair: createRateLimit({ attempts: 8, windowMs: 15 * minuteMs }),
    address: createRateLimit({ attempts: 60, windowMs: 15 * minuteMs }),
    email: createRateLimit({ attempts: 100, windowMs: 15 * minuteMs }),
    setup: createRateLimit({ attempts: 20, windowMs: 15 * minuteMs }),
  }
  return {
    setupNeeded: async () => (await prisma.user.findFirst({ select: { id: true } })) === null,

    async createFirstAccount(input) {
      limits.setup.take('code')
      return createFirstAccount(prisma, input)
    },

    async verifyPassword(given, password, address) {
      const email = normalizeEmail(given)
      const pair = `${address} ${email}`
      limits.address.take(address)
      limits.email.take(email)
      limits.pair.take(pair)
      const user = await prisma.user.findUnique({ where: { email } })
      // Longer than any password we take: not worth the hash.
      const fits = await checkPassword(user?.passwordHash, password.slice(0, 200))
      if (!user || !fits || password.length > 200) return null
      limits.pair.forget(pair)
      return { id: user.id, name: user.name, email }
    },

    actorOfUser: (userId, teamId) => findActorOfUser(prisma, userId, teamId),
    actorOfApiKey: (key) => findActorOfApiKey(prisma, key),
    teamsOfUser: (userId) => findTeamsOfUser(prisma, userId),

    async describe(actor) {
      const user =
        actor.kind === 'user' ? await prisma.user.findUnique({ where: { id: actor.id }, select: { id: true, name: true, email: true } }) : null
      const teams = user ? await findTeamsOfUser(prisma, user.id) : [await findTeam(prisma, actor)]
      const team = teams.find((one) => one.id === actor.teamId) ?? (await findTeam(prisma, actor))
      return { kind: actor.kind, user: user ?? { id: actor.id, name: actor.name, email: null }, operator: actor.operator, team, teams }
    },
  }
}

async function findTeam(prisma: PrismaClient, actor: Actor): Promise<TeamView> {
  const team = await scopeTo(prisma, actor).team.findFirst({ select: { id: true, name: true, slug: true } })
  if (!team) throw new AppError('ERR_NOT_FOUND', 'The team does not exist any more.')
  return { ...team, role: actor.role }
}

async function findTeamsOfUser(prisma: PrismaClient, userId: string): Promise<TeamView[]> {
  const rows = await prisma.membership.findMany({
    where: { userId },
    orderBy: { createdAt: 'asc' },
    select: { role: true, team: { select: { id: true, name: true, slug: true } } },
  })
  return rows.map(({ team, role }) => ({ ...team, role: role.toLowerCase() as Role }))
}

async function findActorOfUser(prisma: PrismaClient, userId: string, teamId?: string): Promise<Actor | null> {
  const row = await prisma.membership.findFirst({
    where: { userId, ...(teamId ? { teamId } : {}) },
    orderBy: { createdAt: 'asc' },
    select: { teamId: true, role: true, user: { select: { name: true, email: true, operator: true } } },
  })
  if (!row) return null
  const { user } = row
  return {
    kind: 'user',
    id: userId,
    name: user.name || user.email || userId,
    teamId: row.teamId,
    role: row.role.toLowerCase() as Role,
    operator: user.operator,
  }
}

async function createFirstAccount(
  prisma: PrismaClient,
  input: { code: string; email: string; password: string; name?: string | undefined },
): Promise<{ userId: string }> {
  const passwordHash = await hashPassword(input.password)
  return prisma.$transaction(async (tx) => {
    await lockSetup(tx)
    if (await tx.user.findFirst({ select: { id: true } }))
      throw new AppError('ERR_CONFLICT', 'The first account exists already.', { nextAction: 'Sign in with it, or ask its owner to invite you.' })
    const setting = await tx.setting.findUnique({ where: { key: setupCodeSetting } })
    const hash = (setting?.value as { hash?: string } | null)?.hash
    if (!hash || !fitsSetupCode(hash, input.code))
      throw new AppError('ERR_FORBIDDEN', 'The one-time code is not right.', {
        nextAction: 'Take the newest one from the output of the server: each start prints a new code, and older ones are void.',
      })
    const userId = await insertFirstUser(tx, { ...input, passwordHash })
    await tx.setting.delete({ where: { key: setupCodeSetting } })
    return { userId }
  })
}

type Transaction = Parameters<Parameters<PrismaClient['$transaction']>[0]>[0]

/** The operator of the machine, and owner of the first team. */
export async function insertFirstUser(tx: Transaction, input: { email: string; passwordHash: string; name?: string | undefined }): Promise<string> {
  const team = await tx.team.findFirstOrThrow({ orderBy: { createdAt: 'asc' }, select: { id: true } })
  const id = newId()
  const email = normalizeEmail(input.email)
  await tx.user.create({ data: { id, email, name: input.name || null, passwordHash: input.passwordHash, operator: true } })
  await tx.membership.create({ data: { teamId: team.id, userId: id, role: 'OWNER' } })
  await tx.auditEntry.create({ data: { teamId: team.id, actorId: id, actorName: email, action: 'account.created', subject: id } })
  return id
}
