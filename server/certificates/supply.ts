import { z } from 'zod'
import type { PrismaClient } from '@/server/database/generated/client'
import type { LinkQueries } from '@/shared/link'
import type { CertificateEntry } from '@/shared/route-table'
import { coveringNames } from '../domains/covers'
import type { OwnedCertificate } from '../routes/sound-routes'
import type { Secrets } from '../secrets/secrets'
import type { OwnHosts } from './own-hosts'
import { pairId } from './pem'

/** What routers get: names of pairs with the table, the pairs themselves when they ask. */

/** The longest list a router asks for at once. */
const maxAsked = 100_000
const askSchema = z.object({ ids: z.array(z.string().min(1).max(200)).max(maxAsked) })
/** Rows of keys read at a time: what is decrypted stays small. */
const batch = 500

/** A pair as the record has it. */
export interface Pair {
  id: string
  teamId: string
  source: string
  names: string[]
  serial: string | null
  notAfter: Date | null
}
/** A domain that routers serve, and whose certificate is wanted for it. */
export interface Served {
  teamId: string
  hostname: string
  certificateMode: string
}

/**
 * Every pair routers may need, with the names each is for. A renewal that fails changes nothing: the pair in use stays in the table, and
 * an expired one does too while nothing better is there. A domain whose HTTPS is off has none.
 */
export async function certificateEntries(prisma: PrismaClient, now = Date.now()): Promise<CertificateEntry[]> {
  return (await ownedCertificates(prisma, now)).map(({ entry }) => entry)
}

/** The same, each with whose it is. */
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
 * Which pair is for which names. An automatic one is for its own name. An uploaded one may name anything, so it is for domains of its
 * team alone: where the person wants it, and where there is no other. One that is valid goes before one that is wanted.
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
    // Nothing is valid: the newest of what there is, for the visitor to be told what is wrong with it.
    const served = wanted ? (chosen.length > 0 ? chosen : theirs) : own ? [] : theirs
    for (const { id } of served) names.get(id)?.push(hostname)
  }
  return pairs.flatMap(({ id, serial, notAfter }) => {
    const own = names.get(id) ?? []
    return own.length > 0 ? { id: pairId(id, serial), names: own, notAfter: notAfter?.getTime() ?? 0 } : []
  })
}

/** As many as are of use: what is newest, and what comes after it should its key not be readable. */
const maxForOneName = 4

/**
 * Uploaded pairs of a team by hostname, newest first. By index: with a list a thousand domains with a certificate each would cost a million
 * comparisons for every table, and as many names in it.
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

/** Answers routers: chains and keys of the pairs they name; what is unknown, replaced meanwhile or cannot be decrypted is left out. */
export function createCertificateSupply(deps: {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  logger: { warn(fields: object, message: string): void }
  /** Of hosts below the base domain. */
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
          // One bad row must not keep the others from being served.
          logger.warn({ err: error, certificate: id }, 'the key of a certificate cannot be decrypted; it is not served')
        }
      }
    }
    return { certificates }
  }
}
