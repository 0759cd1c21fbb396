import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { forgetOldJobs } from './jobs/queue'

const hourMs = 3_600_000
/** Retention in days, measured from a timestamp column. */
const kept = [
  { table: 'LogLine', column: 'at', days: 30 },
  { table: 'AccessLine', column: 'at', days: 7 },
  { table: 'TrafficMinute', column: 'minute', days: 31 },
  { table: 'Event', column: 'createdAt', days: 30 },
  { table: 'WebhookDelivery', column: 'createdAt', days: 30 },
  { table: 'ForgeReport', column: 'createdAt', days: 30 },
  { table: 'NatsMessage', column: 'createdAt', days: 30 },
  { table: 'GitDelivery', column: 'receivedAt', days: 30 },
  { table: 'Session', column: 'expiresAt', days: 30 },
  { table: 'KeyedAnswer', column: 'expiresAt', days: 0 },
  { table: 'ShareLink', column: 'expiresAt', days: 0 },
] as const
const batchRows = 50_000

/** Deletes expired rows every hour: logs, events, deliveries and traffic after 30 days, access records and ended jobs after 7, idempotency responses at expiry. */
export function startRetention(deps: { pool: Pool; logger: Logger }): { stop(): void } {
  const run = () => prune(deps.pool).catch((error) => deps.logger.warn({ err: error }, 'old rows not removed; trying again in an hour'))
  const timer = setInterval(run, hourMs)
  timer.unref()
  void run()
  return { stop: () => clearInterval(timer) }
}

async function prune(pool: Pool): Promise<void> {
  await forgetOldJobs(pool)
  for (const { table, column, days } of kept)
    for (;;) {
      const { rowCount } = await pool.query(
        `DELETE FROM "${table}" WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM "${table}" WHERE "${column}" < (now() AT TIME ZONE 'utc') - $1 * interval '1 day' ORDER BY "${column}" LIMIT $2))`,
        [days, batchRows],
      )
      if ((rowCount ?? 0) < batchRows) break
    }
}
