import { z } from 'zod'
import type { PrismaClient } from '@/server/database/generated/client'
import type { LinkQueries } from '@/shared/link'
import type { CertificateEntry } from '@/shared/route-table'
import { coveringNames } from '../domains/covers'
import type { OwnedCertificate } from '../routes/sound-routes'
import type { Secrets } from '../secrets/secrets'
import type { OwnHosts } from './own-hosts'
import { pairId } from './pem'

/** What routers receive: ids of pairs with the table, and the pairs on request. */

/** Maximum ids per request of a router. */
const maxAsked = 100_000
const askSchema = z.object({ ids: z.array(z.string().min(1).max(200)).max(maxAsked) })
/** Keys read and decrypted at a time, to bound the memory used. */
const batch = 500

/** A pair of chain and key, as stored. */
export interface Pair {
  id: string
  teamId: string
  source: string
  names: string[]
  serial: string | null
  notAfter: Date | null
}
/** A routed domain that uses the certificate. */
export interface Served {
  teamId: string
  hostname: string
  certificateMode: string
}

/**
 * All pairs that routers may need, with the names of each. After a failed renewal the pair in use stays in the table, even expired if no
 * better one exists. A domain with HTTPS off has none.
 */
export async function certificateEntries(prisma: PrismaClient, now = Date.now()): Promise<CertificateEntry[]> {
  return (await ownedCertificates(prisma, now)).map(({ entry }) => entry)
}

/** Like `certificateEntries`, with the owner of each entry. */
export async function ownedCertificates(prisma: PrismaClient, now = Date.now()): Promise<OwnedCertificate[]> {
  const pairs = await prisma.certificate.findMany({
    where: { chainPem: { not: null }, keyCiphertext: { not: null }, domain: { certificateMode: { not: 'off' } } },
    select: { id: true, teamId: true, source: true, names: true, notAfter: true, serial: true, domain: { select: { projectId: true } } },
    orderBy: { id: 'asc' },
  })
  const uploaders = [...new Set(pairs.filter((one) => one.source === 'uploaded').map((one) => one.teamId))]
  const domains =
    uploaders.length === 0
      ? []
      : await prisma.domain.findMany({
          where: { teamId: { in: uploaders }, state: { not: 'unverified' }, certificateMode: { not: 'off' } },
          select: { teamId: true, hostname: true, certificateMode: true },
          orderBy: { hostname: 'asc' },
        })
  const owners = new Map(pairs.map((pair) => [pairId(pair.id, pair.serial), pair]))
  return assignNames(pairs, domains, now).map((entry) => {
    const owner = owners.get(entry.id)
    return { entry, teamId: owner?.teamId ?? '', projectId: owner?.domain.projectId ?? '' }
  })
}

/**
 * Assigns names to pairs. An automatic pair serves its own name. An uploaded pair may contain any names, so it serves only domains of its
 * team: those set to uploaded certificates, and those without another certificate. A valid pair takes precedence over the configured mode.
 */
export function assignNames(pairs: readonly Pair[], domains: readonly Served[], now: number): CertificateEntry[] {
  const valid = (pair: Pair) => (pair.notAfter?.getTime() ?? 0) > now
  const automatic = new Map(pairs.filter((one) => one.source !== 'uploaded').flatMap((one) => one.names.map((name) => [name, one] as const)))
  const uploaded = pairs.filter((one) => one.source === 'uploaded')
  const uploadedFor = finder(uploaded)
  const names = new Map<string, string[]>(pairs.map((one) => [one.id, one.source === 'uploaded' ? [] : [...one.names]]))
  for (const { teamId, hostname, certificateMode } of domains) {
    const own = automatic.get(hostname)
    const theirs = uploadedFor(teamId, hostname)
    const chosen = theirs.filter(valid)
    const wanted = certificateMode === 'uploaded' ? chosen.length > 0 : !own || (!valid(own) && chosen.length > 0)
    if (wanted && own) names.set(own.id, names.get(own.id)?.filter((name) => name !== hostname) ?? [])
    // No pair is valid: serve the newest, so that browsers show the reason.
    const served = wanted ? (chosen.length > 0 ? chosen : theirs) : own ? [] : theirs
    for (const { id } of served) names.get(id)?.push(hostname)
  }
  return pairs.flatMap(({ id, serial, notAfter }) => {
    const own = names.get(id) ?? []
    return own.length > 0 ? { id: pairId(id, serial), names: own, notAfter: notAfter?.getTime() ?? 0 } : []
  })
}

/** Maximum pairs per name: the newest, and fallbacks if its key cannot be decrypted. */
const maxForOneName = 4

/**
 * Finds a team's uploaded pairs by hostname, newest first. An index, because a thousand domains with a certificate each would cost a
 * million comparisons per table with a list.
 */
function finder(uploaded: readonly Pair[]): (teamId: string, hostname: string) => Pair[] {
  const byName = new Map<string, Pair[]>()
  for (const pair of uploaded)
    for (const name of new Set(pair.names)) {
      const key = `${pair.teamId} ${name}`
      const known = byName.get(key)
      if (known) known.push(pair)
      else byName.set(key, [pair])
    }
  const end = (pair: Pair) => pair.notAfter?.getTime() ?? 0
  for (const [key, pairs] of byName) byName.set(key, pairs.sort((a, b) => end(b) - end(a)).slice(0, maxForOneName))
  return (teamId, hostname) => [...new Set(coveringNames(hostname).flatMap((name) => byName.get(`${teamId} ${name}`) ?? []))]
}

/** Answers routers with the chains and keys of the requested pairs; omits pairs that are unknown, replaced or cannot be decrypted. */
export function createCertificateSupply(deps: {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  logger: { warn(fields: object, message: string): void }
  /** The operator's certificate for hosts below the base domain. */
  ownHosts?: OwnHosts
}): (ask: LinkQueries['certificates']['ask']) => Promise<LinkQueries['certificates']['answer']> {
  const { prisma, secrets, logger, ownHosts } = deps
  return async (ask) => {
    const ids = new Set(askSchema.parse(ask).ids)
    const rowIds = [...new Set([...ids].map((id) => id.slice(0, id.lastIndexOf('.'))))]
    const certificates: LinkQueries['certificates']['answer']['certificates'] = []
    const own = await ownHosts?.read()
    if (own && ids.has(own.id)) certificates.push({ id: own.id, chainPem: own.chainPem, keyPem: own.keyPem })
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
          // Skip a row that cannot be decrypted, and serve the others.
          logger.warn({ err: error, certificate: id }, 'the key of a certificate cannot be decrypted; it is not served')
        }
      }
    }
    return { certificates }
  }
}
