import { createHmac } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import type { DnsRecord } from '@/shared/domains'
import { type DomainName, isWithin } from './hostname'
import { recordOf } from './records'

/** Names that start with an underscore are not hostnames (RFC 8552), so no visitor can request them. */
const claimLabel = '_switchyard'

/**
 * The TXT value that proves a team's ownership of a name. Deterministic for team and name, so it can be shown before anything is stored,
 * and it differs from every other team's value.
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
 * Whether another team has this exact name, or was the first to verify a name with the same registrable domain (`*.example.com` against
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
