import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { MeView, TeamView } from '@/shared/views'
import type { Actor } from '../actor'
import { findActorOfApiKey } from '../api-keys/api-keys'
import { scopeTo } from '../database/scope'
import type { Secrets } from '../secrets/secrets'
import type { Role } from '../teams/policy'
import { checkPassword, hashPassword } from './password'
import { beginSession, endSession, findActorOfSession } from './sessions'
import { lockSetup, setupCodeSetting } from './settings'
import { fitsSetupCode } from './setup-code'
import { countedAddress, createThrottle, type LaneKey, type Throttle } from './throttle'

/** Canonical form of an e-mail address, used for storage, comparison and rate limits. */
export const normalizeEmail = (email: string): string => email.normalize('NFKC').trim().toLowerCase()

export interface Accounts {
  /** True until the first account exists. */
  setupNeeded(): Promise<boolean>
  /** Creates the first account with the printed one-time code. @throws ERR_FORBIDDEN (wrong code), ERR_CONFLICT (an account exists), ERR_RATE_LIMITED */
  createFirstAccount(
    input: { code: string; email: string; password: string; name?: string | undefined },
    address: string,
  ): Promise<{ userId: string }>
  /** null: wrong e-mail or password; both take equally long. @throws ERR_RATE_LIMITED */
  verifyPassword(
    email: string,
    password: string,
    /** `device`: id of a device that has signed in to this account before. */
    from: { address: string; device: string | null },
  ): Promise<{ id: string; name: string | null; email: string } | null>
  /** Records a sign-in. Returns the session id for the cookie. */
  beginSession(userId: string, place: { address: string; userAgent: string | null }): Promise<string>
  endSession(sessionId: string): Promise<void>
  /** The actor of a session in `teamId`, or in the user's first team. null: the session has ended, or the user is not a member. */
  actorOfSession(sessionId: string, teamId?: string | undefined): Promise<Actor | null>
  actorOfApiKey(key: string): Promise<Actor | null>
  /** Describes the actor for the dashboard's menu and `switchyard whoami`. */
  describe(actor: Actor): Promise<MeView>
  teamsOfUser(userId: string): Promise<{ id: string; name: string; slug: string; role: 'owner' | 'admin' | 'member' }[]>
}

/** Use-cases of accounts and sign-in. */
export function createAccounts(parts: { prisma: PrismaClient; secrets: Secrets; throttle?: Throttle }): Accounts {
  const { prisma, secrets, throttle = createThrottle() } = parts
  return {
    setupNeeded: async () => (await prisma.user.findFirst({ select: { id: true } })) === null,

    async createFirstAccount(input, address) {
      const succeeded = await throttle.admit([['setup', countedAddress(address)]])
      const created = await createFirstAccount(prisma, input)
      succeeded()
      return created
    },

    async verifyPassword(given, password, from) {
      const email = normalizeEmail(given)
      const succeeded = await throttle.admit(lanesOf(email, from))
      // No stored address holds NUL or half a surrogate pair, and Postgres refuses the query.
      const user = email.includes('\0') || !email.isWellFormed() ? null : await prisma.user.findUnique({ where: { email } })
      // Longer than any accepted password: do not spend time hashing the rest.
      const fits = await checkPassword(user?.passwordHash, password.slice(0, 200))
      if (!user || !fits || password.length > 200) return null
      succeeded()
      return { id: user.id, name: user.name, email }
    },

    beginSession: (userId, place) => beginSession(prisma, userId, place),
    endSession: (sessionId) => endSession(prisma, sessionId),
    actorOfSession: (sessionId, teamId) => findActorOfSession(prisma, sessionId, teamId),
    actorOfApiKey: (key) => findActorOfApiKey(prisma, secrets, key),
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

/** Rate limit counters of a sign-in attempt; a device that has signed in to the account before has a separate counter. */
function lanesOf(email: string, { address, device }: { address: string; device: string | null }): LaneKey[] {
  if (device) return [['device', `${device} ${email}`]]
  const place = countedAddress(address)
  return [
    ['address', place],
    ['email', email],
    ['pair', `${place} ${email}`],
  ]
}

async function createFirstAccount(
  prisma: PrismaClient,
  input: { code: string; email: string; password: string; name?: string | undefined },
): Promise<{ userId: string }> {
  // Check before hashing the password, which costs the server far more than a guess costs the client, and again under the lock.
  await checkSetupCode(prisma, input.code)
  const passwordHash = await hashPassword(input.password)
  return prisma.$transaction(async (tx) => {
    await lockSetup(tx)
    await checkSetupCode(tx, input.code)
    const userId = await insertFirstUser(tx, { ...input, passwordHash })
    await tx.setting.delete({ where: { key: setupCodeSetting } })
    return { userId }
  })
}

/** @throws ERR_CONFLICT once there is an account, ERR_FORBIDDEN for a wrong code */
async function checkSetupCode(db: PrismaClient | Transaction, code: string): Promise<void> {
  if (await db.user.findFirst({ select: { id: true } }))
    throw new AppError('ERR_CONFLICT', 'The first account exists already.', { nextAction: 'Sign in with it, or ask its owner to invite you.' })
  const setting = await db.setting.findUnique({ where: { key: setupCodeSetting } })
  const hash = (setting?.value as { hash?: string } | null)?.hash
  if (!hash || !fitsSetupCode(hash, code))
    throw new AppError('ERR_FORBIDDEN', 'The one-time code is not right.', {
      nextAction: 'Take the newest one from the output of the server: each start prints a new code, and older ones are void.',
    })
}

type Transaction = Parameters<Parameters<PrismaClient['$transaction']>[0]>[0]

/** Creates the first user: operator of the machine and owner of the first team. */
export async function insertFirstUser(tx: Transaction, input: { email: string; passwordHash: string; name?: string | undefined }): Promise<string> {
  const team = await tx.team.findFirstOrThrow({ orderBy: { createdAt: 'asc' }, select: { id: true } })
  const id = newId()
  const email = normalizeEmail(input.email)
  await tx.user.create({ data: { id, email, name: input.name || null, passwordHash: input.passwordHash, operator: true } })
  await tx.membership.create({ data: { teamId: team.id, userId: id, role: 'OWNER' } })
  await tx.auditEntry.create({ data: { teamId: team.id, actorId: id, actorName: email, action: 'account.created', subject: id } })
  return id
}
