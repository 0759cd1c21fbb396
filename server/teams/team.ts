import type { PrismaClient } from '@/server/database/generated/client'
import type { MemberView } from '@/shared/views'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { authorize, type Role } from './policy'

export interface Team {
  members(actor: Actor): Promise<MemberView[]>
}

export function createTeam({ prisma }: { prisma: PrismaClient }): Team {
  return {
    async members(actor) {
      authorize(actor, 'team.read')
      const rows = await scopeTo(prisma, actor).membership.findMany({
        orderBy: { createdAt: 'asc' },
        select: { role: true, createdAt: true, user: { select: { id: true, name: true, email: true } } },
      })
      return rows.map(({ user, role, createdAt }) => ({
        userId: user.id,
        name: user.name,
        email: user.email,
        role: role.toLowerCase() as Role,
        createdAt: createdAt.toISOString(),
      }))
    },
  }
}
