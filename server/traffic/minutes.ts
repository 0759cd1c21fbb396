import type { Pool } from 'pg'
import { isRefusedForGood } from './refused'
import type { CheckedCounters } from './reports'

interface MinuteRow extends CheckedCounters {
  /** Seconds since 1970. */
  minute: number
}

/** Maximum rows waiting for the database; further counts are dropped. */
const maxWaitingRows = 50_000
/** Rows per statement. */
const batchRows = 2_000

const keyOf = ({ minute, projectId, host, instanceId, deploymentId }: MinuteRow) =>
  `${minute} ${projectId} ${host} ${instanceId ?? ''} ${deploymentId ?? ''}`

/**
 * Adds to existing rows: several routers and reports contribute to one minute. The team comes from the project; rows of deleted projects
 * match nothing. Arrays are added element by element.
 */
const upsert = `
  INSERT INTO "TrafficMinute" AS t
    ("minute", "teamId", "projectId", "host", "instanceId", "deploymentId", "requests", "statuses", "bytesIn", "bytesOut", "cacheHits", "latency")
  SELECT to_timestamp(r."minute") AT TIME ZONE 'utc', p."teamId", p."id", r."host", coalesce(r."instanceId", ''), coalesce(r."deploymentId", ''),
    r."requests", r."statuses", r."bytesIn", r."bytesOut", r."cacheHits", r."latency"
  FROM jsonb_to_recordset($1::jsonb) AS r("minute" bigint, "projectId" text, "host" text, "instanceId" text, "deploymentId" text,
    "requests" bigint, "statuses" bigint[], "bytesIn" bigint, "bytesOut" bigint, "cacheHits" bigint, "latency" bigint[])
  JOIN "Project" p ON p."id" = r."projectId"
  ORDER BY 1, 3, 4, 5, 6
  ON CONFLICT ("projectId", "minute", "host", "instanceId", "deploymentId") DO UPDATE SET
    "requests" = t."requests" + excluded."requests",
    "bytesIn" = t."bytesIn" + excluded."bytesIn",
    "bytesOut" = t."bytesOut" + excluded."bytesOut",
    "cacheHits" = t."cacheHits" + excluded."cacheHits",
    "statuses" = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i) FROM unnest(t."statuses", excluded."statuses") WITH ORDINALITY AS u(a, b, i)),
    "latency" = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i) FROM unnest(t."latency", excluded."latency") WITH ORDINALITY AS u(a, b, i))`

/** Aggregates traffic per minute in memory and writes it to the database in batches. */
export class MinuteStore {
  readonly #pool: Pool
  #waiting = new Map<string, MinuteRow>()
  /** Number of dropped rows. */
  lost = 0

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** `at`: ms since 1970. Counters without a project are ignored, because no user may see them. */
  add(at: number, counters: CheckedCounters): void {
    if (counters.projectId === null) return
    const row = { ...counters, minute: Math.floor(at / 60_000) * 60 }
    const key = keyOf(row)
    const known = this.#waiting.get(key)
    if (known) addTo(known, row)
    else if (this.#waiting.size < maxWaitingRows) this.#waiting.set(key, row)
    else this.lost++
  }

  /** Writes the waiting rows; on failure they stay buffered. @throws the database error */
  async flush(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, batchRows)
      for (const [key] of batch) this.#waiting.delete(key)
      try {
        await this.#pool.query(upsert, [JSON.stringify(batch.map(([, row]) => row))])
      } catch (error) {
        if (isRefusedForGood(error)) {
          this.lost += batch.length
          continue
        }
        for (const [key, row] of batch) {
          const newer = this.#waiting.get(key)
          if (newer) addTo(newer, row)
          else this.#waiting.set(key, row)
        }
        throw error
      }
    }
  }
}

function addTo(sum: MinuteRow, more: MinuteRow): void {
  sum.requests += more.requests
  sum.bytesIn += more.bytesIn
  sum.bytesOut += more.bytesOut
  sum.cacheHits += more.cacheHits
  sum.statuses = sum.statuses.map((value, i) => value + (more.statuses[i] ?? 0))
  sum.latency = sum.latency.map((value, i) => value + (more.latency[i] ?? 0))
}
