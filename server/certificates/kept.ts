import type { Pool } from 'pg'
import { newId } from '@/shared/node/ids'
import type { ScopedTransaction } from '../database/scope'

/**
 * Certificates of removed domains. CAs limit certificates per name (Let's Encrypt: 5 a week), so a domain that is added again reuses its
 * old certificate. Kept until it expires, for the team that owned it.
 */

/** Call before the domain is deleted, in the same transaction. Uploaded certificates are not kept: the user has the original. */
export async function keepCertificates(tx: ScopedTransaction, teamId: string, domainId: string): Promise<void> {
  const rows = await tx.certificate.findMany({
    where: { domainId, source: 'acme', chainPem: { not: null }, keyCiphertext: { not: null }, notAfter: { gt: new Date() } },
  })
  for (const { names, directory, issuer, serial, notBefore, notAfter, chainPem, keyCiphertext, nextAttemptAt } of rows) {
    const [name] = names
    if (!name || !directory || !notBefore || !notAfter || !chainPem || !keyCiphertext) continue
    await tx.keptCertificate.deleteMany({ where: { name } })
    const pair = { name, directory, issuer, serial, notBefore, notAfter, chainPem, keyCiphertext, nextAttemptAt }
    await tx.keptCertificate.create({ data: { id: newId(), teamId, ...pair } })
  }
}

/**
 * Gives kept certificates to verified domains of the same team that have none. A single statement: the row's id derives from the domain's,
 * so two machines create only one row, and the kept certificate is deleted with it. `directories`: CAs in use; certificates of other CAs
 * are not reused.
 * @returns ids of the certificates
 */
export async function adoptKept(pool: Pool, directories: readonly string[], now: number): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `WITH wanted AS (
       SELECT k."id" AS "keptId", 'acme-' || d."id" AS "newId", d."id" AS "domainId" FROM "Domain" d
       JOIN "KeptCertificate" k ON k."teamId" = d."teamId" AND k."name" = d."hostname"
       WHERE d."certificateMode"='automatic' AND d."state"='verified' AND k."notAfter" > $1 AND k."directory" = ANY($2)
         AND NOT EXISTS (SELECT 1 FROM "Certificate" c WHERE c."id" = 'acme-' || d."id")
     ), taken AS (
       DELETE FROM "KeptCertificate" k USING wanted w WHERE k."id" = w."keptId" RETURNING k.*, w."newId", w."domainId"
     )
     INSERT INTO "Certificate"("id","teamId","domainId","state","names","directory","issuer","serial","notBefore","notAfter","chainPem","keyCiphertext",
       "nextAttemptAt")
     SELECT "newId","teamId","domainId",'active',ARRAY["name"],"directory","issuer","serial","notBefore","notAfter","chainPem","keyCiphertext",
       COALESCE("nextAttemptAt", "notAfter" - ("notAfter" - "notBefore") / 3) FROM taken
     ON CONFLICT DO NOTHING RETURNING "id"`,
    [new Date(now), directories],
  )
  return rows.map((row) => row.id)
}

/** Deletes expired kept certificates. */
export async function forgetEndedKept(pool: Pool, now: number): Promise<void> {
  await pool.query(`DELETE FROM "KeptCertificate" WHERE "notAfter" <= $1`, [new Date(now)])
}
