import type { Pool } from 'pg'
import { newId } from '@/shared/node/ids'
import type { ScopedTransaction } from '../database/scope'

/**
 * Certificates of removed domains. CAs allow few certificates of one name in a week (Let's Encrypt: 5), so a name that comes back takes
 * up the one it had. Kept for the team that had it alone, until it ends.
 */

/** Called before the domain is deleted, in its transaction. What was uploaded is not kept: that is the person's to keep. */
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
 * Gives verified domains that have no certificate the one their team kept. One statement: of two machines one makes the row, whose id
 * follows from the domain's, and a kept one goes with it. `directories`: CAs in use now; another's is asked for anew.
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

/** Those that have ended. */
export async function forgetEndedKept(pool: Pool, now: number): Promise<void> {
  await pool.query(`DELETE FROM "KeptCertificate" WHERE "notAfter" <= $1`, [new Date(now)])
}
