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

const everyLane: readonly Lane[] = (Object.keys(jobCatalogue) as JobKind[]).map((kind) => ({ kind, share: 1_000 }))

type Executor = Pick<Pool | PoolClient, 'query'>

/** Queues work, in the caller's transaction when given its client. */
export async function enqueue<K extends JobKind>(
  db: Executor,
  kind: K,
  payload: JobPayload<K>,
  options: { exclusiveKey?: string; fairKey?: string; delayMs?: number } = {},
): Promise<void> {
  const entry = jobCatalogue[kind]
  // Cut, because the column would round up to a moment that a claim right after this does not yet see.
  await db.query(
    `INSERT INTO "Job"("kind","exclusiveKey","fairKey","payload","maxAttempts","runAt")
     VALUES ($1,$2,$3,$4,$5,date_trunc('milliseconds', now() AT TIME ZONE 'utc') + $6 * interval '1 millisecond')`,
    [
      kind,
      options.exclusiveKey ?? null,
      options.fairKey ?? null,
      JSON.stringify(entry.payload.parse(payload)),
      entry.maxAttempts,
      options.delayMs ?? 0,
    ],
  )
}

/** A kind of work with room for one more. */
export interface Lane {
  kind: JobKind
  /** How many jobs of one `fairKey` may run at once while others queue such work, too. */
  share: number
}

/**
 * A job of these lanes that may run now: left by a worker whose lease ran out, else queued. Of the queued ones, the key with the fewest
 * running jobs has its turn first, then the oldest. null: nothing to do.
 */
export async function claim(pool: Pool, owner: string, lanes: readonly Lane[] = everyLane): Promise<ClaimedJob | null> {
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [claimLock])
    const { rows } = await client.query<{ id: string; kind: JobKind; payload: unknown; attempts: number; maxAttempts: number }>(
      `UPDATE "Job" SET "state"='running', "attempts"="attempts"+1, "leaseOwner"=$1,
              "leaseExpiresAt"=(now() AT TIME ZONE 'utc') + $2 * interval '1 second'
       WHERE "id" = (
         SELECT j."id" FROM "Job" j
         JOIN unnest($3::text[], $4::int[]) AS lane("kind","share") ON lane."kind"=j."kind"
         CROSS JOIN LATERAL (
           SELECT count(*) AS n FROM "Job" s WHERE s."kind"=j."kind" AND s."state"='running' AND s."fairKey"=j."fairKey" AND s."id"<>j."id") same
         WHERE ((j."state"='queued' AND j."runAt" <= (now() AT TIME ZONE 'utc'))
             OR (j."state"='running' AND j."leaseExpiresAt" < (now() AT TIME ZONE 'utc')))
           AND (j."exclusiveKey" IS NULL OR NOT EXISTS (
             SELECT 1 FROM "Job" o WHERE o."exclusiveKey"=j."exclusiveKey" AND o."id"<>j."id" AND o."state"='running'))
           AND (same.n < lane."share" OR NOT EXISTS (SELECT 1 FROM "Job" x WHERE x."kind"=j."kind" AND x."fairKey"<>j."fairKey"))
         ORDER BY j."state"='running' DESC, same.n, j."runAt", j."id" LIMIT 1)
       RETURNING "id"::text, "kind", "payload", "attempts", "maxAttempts"`,
      [owner, leaseSeconds, lanes.map((lane) => lane.kind), lanes.map((lane) => lane.share)],
    )
    await client.query('COMMIT')
    return rows[0] ?? null
  } catch (error) {
    failure = error as Error
    throw error
  } finally {
    // A connection on which something failed is not used again: of a server that hangs it would fail the next caller, too.
    client.release(failure)
  }
}

/** Until the next job may be claimed by its time or by the end of a lease. Infinity: there is none. Below 0: it waits for another job. */
export async function dueInMs(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: string | null }>(
    `SELECT 1000 * extract(epoch FROM min(CASE "state" WHEN 'queued' THEN "runAt" ELSE "leaseExpiresAt" END) - (now() AT TIME ZONE 'utc')) AS ms
     FROM "Job" WHERE "state" IN ('queued','running')`,
  )
  return rows[0]?.ms == null ? Number.POSITIVE_INFINITY : Number(rows[0].ms)
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
