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

/** Lease duration: another worker may take a job that was not renewed for this long. */
export const leaseSeconds = 20
/** Advisory lock that serializes claims of all workers, so that `exclusiveKey` holds without a race. */
const claimLock = 7_270_001

const everyLane: readonly Lane[] = (Object.keys(jobCatalogue) as JobKind[]).map((kind) => ({ kind, share: 1_000 }))

type Executor = Pick<Pool | PoolClient, 'query'>

/** Queues a job, in the caller's transaction when `db` is a transaction client. */
export async function enqueue<K extends JobKind>(
  db: Executor,
  kind: K,
  payload: JobPayload<K>,
  options: { exclusiveKey?: string; fairKey?: string; delayMs?: number } = {},
): Promise<void> {
  const entry = jobCatalogue[kind]
  // Truncate: the column would round up to a future time, and a claim right after this would not see the job.
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

/** A job kind with free capacity. */
export interface Lane {
  kind: JobKind
  /** Running jobs allowed per `fairKey` while other keys have queued jobs of this kind. */
  share: number
}

/**
 * Claims a job of these lanes: first a job whose lease expired, else a queued job of the `fairKey` with the fewest running jobs, oldest first.
 * null: no job may run now.
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
    // Discard a connection after a failure: with a hung server it would fail the next caller too.
    client.release(failure)
  }
}

/** Milliseconds until the next job is due or a lease expires. Infinity: no jobs. Negative: a due job waits for another job. */
export async function dueInMs(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: string | null }>(
    `SELECT 1000 * extract(epoch FROM min(CASE "state" WHEN 'queued' THEN "runAt" ELSE "leaseExpiresAt" END) - (now() AT TIME ZONE 'utc')) AS ms
     FROM "Job" WHERE "state" IN ('queued','running')`,
  )
  return rows[0]?.ms == null ? Number.POSITIVE_INFINITY : Number(rows[0].ms)
}

/** Renews the lease. False: another worker has taken the job over. */
export async function renew(pool: Pool, jobId: string, owner: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `UPDATE "Job" SET "leaseExpiresAt"=(now() AT TIME ZONE 'utc') + $3 * interval '1 second' WHERE "id"=$1 AND "leaseOwner"=$2 AND "state"='running'`,
    [jobId, owner, leaseSeconds],
  )
  return rowCount === 1
}

/** Ends a job if `owner` still holds its lease; `retryInMs` queues it again instead and keeps its attempt count. */
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
 * Expires the leases of an earlier process on this machine. Call only while holding the home's lock, which proves that process dead:
 * waiting for the leases to expire would only delay the take-over.
 */
export async function breakLeases(pool: Pool, machine: string): Promise<number> {
  const { rowCount } = await pool.query(
    `UPDATE "Job" SET "leaseExpiresAt"=(now() AT TIME ZONE 'utc') - interval '1 second' WHERE "state"='running' AND starts_with("leaseOwner",$1)`,
    [`${machine}:`],
  )
  return rowCount ?? 0
}

/** Deletes jobs that ended more than a week ago. */
export async function forgetOldJobs(pool: Pool): Promise<void> {
  await pool.query(`DELETE FROM "Job" WHERE "state" IN ('done','failed') AND "endedAt" < (now() AT TIME ZONE 'utc') - interval '7 days'`)
}
