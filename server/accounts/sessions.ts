import type { PrismaClient } from '@/server/database/generated/client'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import type { Role } from '../teams/policy'

/** Session lifetime from sign-in; activity does not extend it. */
export const sessionSeconds = 24 * 60 * 60
/** `lastUsedAt` is written at most this often for a session. */
const lastUsedEveryMs = 60_000

export interface SignInPlace {
  address: string
  userAgent: string | null
}

/** Records a sign-in. The id goes into the cookie. */
export async function beginSession(prisma: PrismaClient, userId: string, place: SignInPlace): Promise<string> {
  const id = newId()
  const { address, userAgent } = place
  const expiresAt = new Date(Date.now() + sessionSeconds * 1000)
  await prisma.session.create({ data: { id, userId, address, userAgent: userAgent?.slice(0, 500) ?? null, expiresAt } })
  return id
}

/** Ends a session: every copy of its cookie becomes invalid immediately. */
export async function endSession(prisma: PrismaClient, id: string): Promise<void> {
  await prisma.session.updateMany({ where: { id, endedAt: null }, data: { endedAt: new Date() } })
}

/** The actor of a session in `teamId`, or in the user's first team. null: the session has ended, or the user is not a member. */
export async function findActorOfSession(prisma: PrismaClient, id: string, teamId?: string): Promise<Actor | null> {
  const now = new Date()
  const session = await prisma.session.findUnique({
    where: { id },
    select: {
      endedAt: true,
      expiresAt: true,
      lastUsedAt: true,
      user: {
        select: {
          id: true,
          name: true,
          email: true,
          operator: true,
          memberships: { where: teamId ? { teamId } : {}, orderBy: { createdAt: 'asc' }, take: 1, select: { teamId: true, role: true } },
        },
      },
    },
  })
  const membership = session?.user.memberships[0]
  if (!session || !membership || session.endedAt || session.expiresAt <= now) return null
  if (!session.lastUsedAt || now.getTime() - session.lastUsedAt.getTime() > lastUsedEveryMs)
    await prisma.session.updateMany({ where: { id, lastUsedAt: session.lastUsedAt }, data: { lastUsedAt: now } })
  const { user } = session
  return {
    kind: 'user',
    id: user.id,
    name: user.name || user.email || user.id,
    teamId: membership.teamId,
    role: membership.role.toLowerCase() as Role,
    operator: user.operator,
    expiresAt: session.expiresAt,
  }
}
