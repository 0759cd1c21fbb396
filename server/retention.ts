import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { forgetOldJobs } from './jobs/queue'

const hourMs = 3_600_000
const logDays = 30
const batchRows = 50_000

/** Forgets what nobody reads any more: app output after 30 days, ended jobs after a week. */
export function startRetention(deps: { pool: Pool; logger: Logger }): { stop(): void } {
  const run = () => prune(deps.pool).catch((error) => deps.logger.warn({ err: error }, 'old rows not removed; trying again in an hour'))
  const timer = setInterval(run, hourMs)
  timer.unref()
  void run()
  return { stop: () => clearInterval(timer) }
}

async function prune(pool: Pool): Promise<void> {
  await forgetOldJobs(pool)
  for (;;) {
    const { rowCount } = await pool.query(
      `DELETE FROM "LogLine" WHERE "id" IN (
         SELECT "id" FROM "LogLine" WHERE "at" < (now() AT TIME ZONE 'utc') - $1 * interval '1 day' ORDER BY "at" LIMIT $2)`,
      [logDays, batchRows],
    )
    if ((rowCount ?? 0) < batchRows) return
  }
}
