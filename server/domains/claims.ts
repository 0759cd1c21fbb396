import { createHmac } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import type { DnsRecord } from '@/shared/domains'
import { type DomainName, isWithin } from './hostname'
import { recordOf } from './records'

/** RFC 8552: names that are not hosts begin with an underscore, so nobody can be a visitor there. */
const claimLabel = '_switchyard'

/**
 * The TXT value by which a team proves that a name is its own. The same for the same team and name at any time, so it can be shown
 * before anything is recorded, and no other team's record stands for it.
 */
export function claimToken(secret: string, teamId: string, hostname: string): string {
  const digest = createHmac('sha256', secret).update(`switchyard/domain-claim\0${teamId}\0${hostname}`).digest('base64url')
  return `switchyard-claim=${digest.slice(0, 32)}`
}

export const claimName = (name: Pick<DomainName, 'base'>): string => `${claimLabel}.${name.base}`
export const claimRecord = (name: DomainName, token: string): DnsRecord => recordOf('TXT', claimName(name), token, name.registrable)

/** Another team's claim to a name; the team is not disclosed. */
export type RivalClaim = 'none' | 'exact' | 'related'

/**
 * Whether another team has this very name, or was the first to verify one of the same registrable domain (`*.example.com` against
 * `shop.example.com`). Queries all teams on purpose and discloses no other data.
 */
export async function rivalClaim(prisma: Pick<PrismaClient, 'domain'>, teamId: string, name: DomainName): Promise<RivalClaim> {
  const rivals = await prisma.domain.findMany({
    where: { teamId: { not: teamId }, hostname: { endsWith: name.registrable } },
    select: { hostname: true, state: true },
  })
  if (rivals.some((rival) => rival.hostname === name.hostname)) return 'exact'
  const related = rivals.some((rival) => rival.state !== 'unverified' && isWithin(rival.hostname.replace(/^\*\./, ''), name.registrable))
  return related ? 'related' : 'none'
}
