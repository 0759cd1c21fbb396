import type { Pool } from 'pg'
import type { BlobStore } from '@/storage/blob-store'

/** Newest deployments per project whose uploads are kept, so that they can be repeated. */
const repeatable = 10

/**
 * Removes uploads older than `maxAgeMs` that belong to no recent, running or live deployment. Deletes the bytes when no team has a claim on
 * them. Returns what was freed.
 */
export async function removeOldUploads(deps: { pool: Pool; storage: BlobStore }, maxAgeMs: number): Promise<{ count: number; sizeBytes: number }> {
  const { rows } = await deps.pool.query<{ digest: string; sizeBytes: string; shared: boolean }>(
    `WITH recent AS (
       SELECT "source"->>'digest' AS digest, "status"::text AS status,
              row_number() OVER (PARTITION BY "projectId" ORDER BY "createdAt" DESC) AS place
       FROM "Deployment" WHERE "source"->>'kind' = 'archive'),
     needed AS (SELECT digest FROM recent WHERE place <= $2 OR status IN ('PENDING', 'BUILDING', 'DEPLOYING', 'ACTIVE')),
     gone AS (
       DELETE FROM "Upload" u WHERE u."createdAt" < (now() AT TIME ZONE 'utc') - $1 * interval '1 millisecond'
         AND NOT EXISTS (SELECT 1 FROM needed WHERE needed.digest = u."digest")
       RETURNING u."teamId", u."digest", u."sizeBytes")
     SELECT g."digest" AS digest, max(g."sizeBytes") AS "sizeBytes",
            EXISTS (SELECT 1 FROM "Upload" o WHERE o."digest" = g."digest" AND NOT EXISTS (
              SELECT 1 FROM gone x WHERE x."teamId" = o."teamId" AND x."digest" = o."digest"))
            OR EXISTS (SELECT 1 FROM "Artifact" a WHERE a."digest" = g."digest" AND a."removedAt" IS NULL) AS shared
     FROM gone g GROUP BY g."digest"`,
    [maxAgeMs, repeatable],
  )
  const unclaimed = rows.filter((row) => !row.shared)
  for (const { digest } of unclaimed) await deps.storage.remove(digest)
  return { count: unclaimed.length, sizeBytes: unclaimed.reduce((sum, row) => sum + Number(row.sizeBytes), 0) }
}
