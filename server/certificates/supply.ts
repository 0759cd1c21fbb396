import { z } from 'zod'
import type { PrismaClient } from '@/server/database/generated/client'
import type { EdgeAsks } from '@/shared/edge-link'
import type { CertificateEntry } from '@/shared/route-table'
import { covers } from '../domains/covers'
import type { Secrets } from '../secrets/secrets'
import { pairId } from './pem'

/** What routers get: names of pairs with the table, the pairs themselves when they ask. */

/** The longest list a router asks for at once. */
const maxAsked = 100_000
const askSchema = z.object({ ids: z.array(z.string().min(1).max(200)).max(maxAsked) })
/** Rows of keys read at a time: what is decrypted stays small. */
const batch = 500

/**
 * Every pair a domain could be served with, whatever becomes of its renewal; expired ones too, for the router chooses the better and
 * nothing else may be there. A domain whose HTTPS is off has none.
 */
export async function certificateEntries(prisma: PrismaClient): Promise<CertificateEntry[]> {
  const rows = await prisma.certificate.findMany({
    where: { chainPem: { not: null }, keyCiphertext: { not: null }, domain: { certificateMode: { not: 'off' } } },
    select: { id: true, teamId: true, source: true, names: true, notAfter: true, serial: true },
    orderBy: { id: 'asc' },
  })
  const own = await hostnamesOf(prisma, [...new Set(rows.filter((row) => row.source === 'uploaded').map((row) => row.teamId))])
  return rows.flatMap(({ id, teamId, source, names, notAfter, serial }) => {
    // What was uploaded may name anything: it is served for the team's own domains, never for those of others.
    const served = source === 'uploaded' ? (own.get(teamId) ?? []).filter((hostname) => covers(new Set(names), hostname)) : names
    return served.length > 0 ? { id: pairId(id, serial), names: served, notAfter: notAfter?.getTime() ?? 0 } : []
  })
}

async function hostnamesOf(prisma: PrismaClient, teamIds: string[]): Promise<Map<string, string[]>> {
  if (teamIds.length === 0) return new Map()
  const domains = await prisma.domain.findMany({
    where: { teamId: { in: teamIds }, state: { not: 'unverified' } },
    select: { teamId: true, hostname: true },
    orderBy: { hostname: 'asc' },
  })
  return new Map([...Map.groupBy(domains, (one) => one.teamId)].map(([teamId, list]) => [teamId, list.map((one) => one.hostname)]))
}

/** Answers routers: chains and keys of the pairs they name; what is unknown, replaced meanwhile or cannot be decrypted is left out. */
export function createCertificateSupply(deps: {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  logger: { warn(fields: object, message: string): void }
}): (ask: EdgeAsks['certificates']['ask']) => Promise<EdgeAsks['certificates']['answer']> {
  const { prisma, secrets, logger } = deps
  return async (ask) => {
    const ids = new Set(askSchema.parse(ask).ids)
    const rowIds = [...new Set([...ids].map((id) => id.slice(0, id.lastIndexOf('.'))))]
    const certificates: EdgeAsks['certificates']['answer']['certificates'] = []
    for (let at = 0; at < rowIds.length; at += batch) {
      const rows = await prisma.certificate.findMany({
        where: { id: { in: rowIds.slice(at, at + batch) }, chainPem: { not: null }, keyCiphertext: { not: null } },
        select: { id: true, teamId: true, serial: true, chainPem: true, keyCiphertext: true },
      })
      for (const { id, teamId, serial, chainPem, keyCiphertext } of rows) {
        if (!chainPem || !keyCiphertext) continue
        const pair = pairId(id, serial)
        if (!ids.has(pair)) continue
        try {
          certificates.push({ id: pair, chainPem, keyPem: await secrets.open(teamId, keyCiphertext) })
        } catch (error) {
          // One bad row must not keep the others from being served.
          logger.warn({ err: error, certificate: id }, 'the key of a certificate cannot be decrypted; it is not served')
        }
      }
    }
    return { certificates }
  }
}
