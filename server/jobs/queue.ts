import type { Pool, PoolClient } from 'pg'
import { type JobKind, type JobPayload, jobCatalogue } from './catalogue'

export interface ClaimedJob {
  id: string
  kind: JobKind
  payload: unknown
  /** 1 for the first run; more when an earlier worker died or failed. */
  attempts: number
  maxAttempts: number
}

/** How long a worker may be silent before another takes its job. */
export const leaseSeconds = 20
/** One claim at a time over all workers: cheap, and the only way `exclusiveKey` holds without a race. */
const claimLock = 7_270_001

type Executor = Pick<Pool | PoolClient, 'query'>

/** Queues work, in the caller's transaction when given its client. */
export async function enqueue<K extends JobKind>(
  db: Executor,
  kind: K,
  payload: JobPayload<K>,
  options: { exclusiveKey?: string; delayMs?: number } = {},
): Promise<void> {
  const entry = jobCatalogue[kind]
  // Cut, because the column would round up to a moment that a claim right after this does not yet see.
  await db.query(
    `INSERT INTO "Job"("kind","exclusiveKey","payload","maxAttempts","runAt")
     VALUES ($1,$2,$3,$4,date_trunc('milliseconds', now() AT TIME ZONE 'utc') + $5 * interval '1 millisecond')`,
    [kind, options.exclusiveKey ?? null, JSON.stringify(entry.payload.parse(payload)), entry.maxAttempts, options.delayMs ?? 0],
  )
}

/** The oldest job that may run now: queued, or left by a worker whose lease ran out. null: nothing to do. */
export async function claim(pool: Pool, owner: string): Promise<ClaimedJob | null> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [claimLock])
    const { rows } = await client.query<{ id: string; kind: JobKind; payload: unknown; attempts: number; maxAttempts: number }>(
      `UPDATE "Job" SET "state"='running', "attempts"="attempts"+1, "leaseOwner"=$1,
              "leaseExpiresAt"=(now() AT TIME ZONE 'utc') + $2 * interval '1 second'
       WHERE "id" = (
         SELECT j."id" FROM "Job" j
         WHERE ((j."state"='queued' AND j."runAt" <= (now() AT TIME ZONE 'utc'))
             OR (j."state"='running' AND j."leaseExpiresAt" < (now() AT TIME ZONE 'utc')))
           AND (j."exclusiveKey" IS NULL OR NOT EXISTS (
             SELECT 1 FROM "Job" o WHERE o."exclusiveKey"=j."exclusiveKey" AND o."id"<>j."id" AND o."state"='running'))
         ORDER BY j."state"='running' DESC, j."runAt", j."id" LIMIT 1)
       RETURNING "id"::text, "kind", "payload", "attempts", "maxAttempts"`,
      [owner, leaseSeconds],
    )
    await client.query('COMMIT')
    return rows[0] ?? null
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}

/** Prolongs the lease; false when somebody else has taken the job over. */
export async function renew(pool: Pool, jobId: string, owner: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `UPDATE "Job" SET "leaseExpiresAt"=(now() AT TIME ZONE 'utc') + $3 * interval '1 second' WHERE "id"=$1 AND "leaseOwner"=$2 AND "state"='running'`,
    [jobId, owner, leaseSeconds],
  )
  return rowCount === 1
}

/** Ends a job this owner still holds; `retryInMs` puts it back instead, with the attempts it has used. */
export async function finish(pool: Pool, job: ClaimedJob, owner: string, outcome: { error?: string; retryInMs?: number }): Promise<void> {
  const again = outcome.retryInMs !== undefined && job.attempts < job.maxAttempts
  const state = again ? 'queued' : outcome.error ? 'failed' : 'done'
  await pool.query(
    `UPDATE "Job" SET "state"=$3::"JobState", "leaseOwner"=NULL, "leaseExpiresAt"=NULL, "lastError"=$4,
            "runAt"=date_trunc('milliseconds', now() AT TIME ZONE 'utc') + $5 * interval '1 millisecond',
            "endedAt"=CASE WHEN $3='queued' THEN NULL ELSE (now() AT TIME ZONE 'utc') END
     WHERE "id"=$1 AND "leaseOwner"=$2`,
    [job.id, owner, state, outcome.error ?? null, again ? outcome.retryInMs : 0],
  )
}

/**
 * Frees what an earlier process of this same machine held. Only called while holding the home's lock, which proves that process dead:
 * waiting for its leases to run out would only delay the take-over.
 */
export async function breakLeases(pool: Pool, machine: string): Promise<number> {
  const { rowCount } = await pool.query(
    `UPDATE "Job" SET "leaseExpiresAt"=(now() AT TIME ZONE 'utc') - interval '1 second' WHERE "state"='running' AND starts_with("leaseOwner",$1)`,
    [`${machine}:`],
  )
  return rowCount ?? 0
}

/** Ended jobs are history nobody reads after a week. */
export async function forgetOldJobs(pool: Pool): Promise<void> {
  await pool.query(`DELETE FROM "Job" WHERE "state" IN ('done','failed') AND "endedAt" < (now() AT TIME ZONE 'utc') - interval '7 days'`)
}
