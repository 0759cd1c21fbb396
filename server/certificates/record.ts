import type { Pool } from 'pg'
import type { Certificate, Domain, Prisma, PrismaClient } from '@/server/database/generated/client'
import type { WireError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { failureWindowMs } from './schedule'

/** Database records of certificates and their orders. Leases use the database's clock, which all machines share. */

export type Claimed = Certificate & { domain: Domain }

export const leaseSeconds = 60

/** Id of a domain's automatic certificate: derived from the domain's id, so that two machines cannot create two. */
const automaticId = `'acme-' || d."id"`

/** Creates rows for verified domains that need a certificate and have none. @returns ids of the domains */
export async function createMissing(pool: Pool, now: number): Promise<string[]> {
  const { rows } = await pool.query<{ domainId: string }>(
    `INSERT INTO "Certificate"("id","teamId","domainId","names","nextAttemptAt")
     SELECT ${automaticId}, d."teamId", d."id", ARRAY[d."hostname"], $1 FROM "Domain" d
     WHERE d."certificateMode"='automatic' AND d."state"='verified'
       AND NOT EXISTS (SELECT 1 FROM "Certificate" c WHERE c."id" = ${automaticId})
     ON CONFLICT DO NOTHING RETURNING "domainId"`,
    [new Date(now)],
  )
  return rows.map((row) => row.domainId)
}

const isDue = `c."source"='acme' AND d."certificateMode"='automatic' AND c."nextAttemptAt" <= $1
  AND (c."leaseExpiresAt" IS NULL OR c."leaseExpiresAt" < (now() AT TIME ZONE 'utc'))`

/** Concurrent orders of a team before other teams take precedence: its DNS host may take minutes for each of a thousand orders. */
export const fairShare = 4

/**
 * Claims the most urgent due certificate. `leaseOwner` is new for each claim and fences every write. First certificates, for which a user
 * may be waiting, rank with those that expire within a day. null: nothing is due.
 */
export async function claim(deps: { pool: Pool; prisma: PrismaClient }, owner: string, now: number): Promise<Claimed | null> {
  const { rows } = await deps.pool.query<{ id: string }>(
    `UPDATE "Certificate" SET "leaseOwner"=$2, "leaseExpiresAt"=(now() AT TIME ZONE 'utc') + $3 * interval '1 second',
            "state"=CASE WHEN "chainPem" IS NULL THEN 'issuing' ELSE 'renewing' END::"CertificateState"
     WHERE "id" = (
       SELECT c."id" FROM "Certificate" c JOIN "Domain" d ON d."id"=c."domainId"
       LEFT JOIN (SELECT "teamId", count(*) AS "orders" FROM "Certificate" WHERE "leaseExpiresAt" >= (now() AT TIME ZONE 'utc') GROUP BY "teamId") busy
         ON busy."teamId"=c."teamId"
       WHERE ${isDue}
       ORDER BY COALESCE(busy."orders", 0) >= ${fairShare}, COALESCE(c."notAfter", c."nextAttemptAt" + interval '1 day'), c."id"
       LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
     RETURNING "id"`,
    [new Date(now), `${owner}/${newId()}`, leaseSeconds],
  )
  const id = rows[0]?.id
  return id ? deps.prisma.certificate.findUnique({ where: { id }, include: { domain: true } }) : null
}

/** When the next certificate is due, and when the first of those already due expires. */
export async function outlook(pool: Pool, now: number): Promise<{ nextAt: number | null; expiresAt: number | null }> {
  const { rows } = await pool.query<{ nextAt: Date | null; expiresAt: Date | null }>(
    `SELECT min(c."nextAttemptAt") FILTER (WHERE c."nextAttemptAt" > $1) AS "nextAt", min(c."notAfter") FILTER (WHERE c."nextAttemptAt" <= $1) AS "expiresAt"
     FROM "Certificate" c JOIN "Domain" d ON d."id"=c."domainId" WHERE c."source"='acme' AND d."certificateMode"='automatic'`,
    [new Date(now)],
  )
  return { nextAt: rows[0]?.nextAt?.getTime() ?? null, expiresAt: rows[0]?.expiresAt?.getTime() ?? null }
}

/** False: another process has taken over the lease. */
export async function renewLease(pool: Pool, row: Claimed): Promise<boolean> {
  const { rowCount } = await pool.query(
    `UPDATE "Certificate" SET "leaseExpiresAt"=(now() AT TIME ZONE 'utc') + $3 * interval '1 second' WHERE "id"=$1 AND "leaseOwner"=$2`,
    [row.id, row.leaseOwner, leaseSeconds],
  )
  return rowCount === 1
}

/**
 * Releases leases of an earlier process of this machine. Call while holding the home directory's lock, which proves that the process is
 * dead.
 */
export async function breakLeases(pool: Pool, machine: string): Promise<void> {
  await pool.query(`UPDATE "Certificate" SET "leaseOwner"=NULL, "leaseExpiresAt"=NULL WHERE starts_with("leaseOwner",$1)`, [`${machine}:`])
}

export class LeaseLost extends Error {
  constructor() {
    super('another process has taken this certificate over')
    this.name = 'LeaseLost'
  }
}

/** Writes to a claimed certificate. @throws LeaseLost when another process owns the lease: no row matched. */
export async function write(
  prisma: Pick<PrismaClient, 'certificate'>,
  row: Claimed,
  data: Prisma.CertificateUncheckedUpdateManyInput,
): Promise<void> {
  const { count } = await prisma.certificate.updateMany({ where: { id: row.id, leaseOwner: row.leaseOwner }, data })
  if (count !== 1) throw new LeaseLost()
}

export const released = { leaseOwner: null, leaseExpiresAt: null } as const
export const noOrder = { orderUrl: null, orderDirectory: null, orderKeyCiphertext: null, orderTryId: null } as const

/** Records an attempt before anything is sent, with the key that the order will need. */
export async function beginTry(
  prisma: PrismaClient,
  row: Claimed,
  order: { directory: string; keyCiphertext: Uint8Array<ArrayBuffer> },
  now: number,
): Promise<bigint> {
  return prisma.$transaction(async (tx) => {
    const { id } = await tx.certificateTry.create({
      data: { teamId: row.teamId, certificateId: row.id, name: nameOf(row), directory: order.directory, startedAt: new Date(now) },
    })
    const fields = { orderUrl: null, orderDirectory: order.directory, orderKeyCiphertext: order.keyCiphertext, orderTryId: id }
    await write(tx, row, { ...fields, directory: order.directory })
    return id
  })
}

/** Start of an attempt in ms since 1970; 0: the record was deleted. */
export async function beganAt(prisma: Pick<PrismaClient, 'certificateTry'>, id: bigint): Promise<number> {
  return (await prisma.certificateTry.findUnique({ where: { id }, select: { startedAt: true } }))?.startedAt.getTime() ?? 0
}

/** `succeeded: null`: the attempt ended before the CA was asked. */
export async function endTry(
  prisma: Pick<PrismaClient, 'certificateTry'>,
  id: bigint,
  outcome: { succeeded: boolean | null; problem?: WireError },
  now: number,
): Promise<void> {
  const { succeeded, problem } = outcome
  await prisma.certificateTry.updateMany({
    where: { id, endedAt: null },
    data: { endedAt: new Date(now), succeeded, ...(problem ? { problem: { ...problem } } : {}) },
  })
}

/** Start times of the attempts within the last hour that failed or are still in progress. */
export async function failedAttempts(prisma: PrismaClient, name: string, now: number): Promise<number[]> {
  const rows = await prisma.certificateTry.findMany({
    where: { name, startedAt: { gt: new Date(now - failureWindowMs) }, OR: [{ succeeded: false }, { endedAt: null }] },
    select: { startedAt: true },
  })
  return rows.map((row) => row.startedAt.getTime())
}

/** Start times of the successful attempts for the name at this CA since `since`; oldest first. */
export async function successes(prisma: PrismaClient, ask: { name: string; directory: string; since: number }): Promise<number[]> {
  const rows = await prisma.certificateTry.findMany({
    where: { name: ask.name, directory: ask.directory, succeeded: true, startedAt: { gt: new Date(ask.since) } },
    select: { startedAt: true },
    orderBy: { startedAt: 'asc' },
  })
  return rows.map((row) => row.startedAt.getTime())
}

/** The name by which the limits count attempts. */
export const nameOf = (row: { names: string[] }): string => row.names[0] ?? ''

const attemptRetentionDays = 90

/** Deletes old attempts. */
export async function forgetOldTries(pool: Pool): Promise<void> {
  await pool.query(`DELETE FROM "CertificateTry" WHERE "startedAt" < (now() AT TIME ZONE 'utc') - $1 * interval '1 day'`, [attemptRetentionDays])
}

/** The domain's checks pass now: certificates postponed by failed checks become due. @returns whether any did */
export async function domainReady(pool: Pool, domainId: string, step: string, now: number): Promise<boolean> {
  const { rowCount } = await pool.query(
    `UPDATE "Certificate" SET "nextAttemptAt"=$2 WHERE "domainId"=$1 AND "source"='acme' AND "nextAttemptAt" > $2 AND "problem"->>'step'=$3`,
    [domainId, new Date(now), step],
  )
  return (rowCount ?? 0) > 0
}
