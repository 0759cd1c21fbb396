import type { Pool } from 'pg'
import { latencyBoundsMs } from '@/shared/link'
import { percentile, type TrafficRange, type TrafficSeries, type TrafficSums, trafficRanges } from '@/shared/traffic'

/** Maximum hosts and instances listed with the chart. */
const shownRows = 20

// Postgres has no sum of arrays: sums each element and builds a new array.
const sumOf = (column: string, from: number, count: number) =>
  `ARRAY[${Array.from({ length: count }, (_, i) => `coalesce(sum("${column}"[${i + from}]), 0)`).join(', ')}]::float8[]`
const sums = `sum("requests")::float8 AS "requests", ${sumOf('statuses', 1, 6)} AS "statuses", sum("bytesIn")::float8 AS "bytesIn",
  sum("bytesOut")::float8 AS "bytesOut", sum("cacheHits")::float8 AS "cacheHits", ${sumOf('latency', 1, latencyBoundsMs.length + 1)} AS "latency"`

interface SumRow {
  requests: number
  statuses: number[]
  bytesIn: number
  bytesOut: number
  cacheHits: number
  latency: number[]
}
type TrafficRow = SumRow & { at: number; host: string; instanceId: string; deploymentId: string }

const empty: SumRow = { requests: 0, statuses: [0, 0, 0, 0, 0, 0], bytesIn: 0, bytesOut: 0, cacheHits: 0, latency: [] }

export interface SeriesQuery {
  /** Filter by both: the project was checked within the team's scope, and rows also carry the team. */
  teamId: string
  projectId: string
  range: TrafficRange
  host: string | undefined
}

/** Traffic of a project over a range. Points lie on whole steps; the last step is incomplete. */
export async function readSeries(pool: Pool, query: SeriesQuery, now = Date.now()): Promise<TrafficSeries> {
  const { lengthSeconds, stepSeconds } = trafficRanges[query.range]
  const last = Math.floor(now / 1000 / stepSeconds) * stepSeconds
  const first = last - lengthSeconds + stepSeconds
  const where = `"teamId" = $1 AND "projectId" = $2 AND "minute" >= to_timestamp($3) AT TIME ZONE 'utc' AND ($4::text IS NULL OR "host" = $4)`
  const values = [query.teamId, query.projectId, first, query.host ?? null]
  const read = (columns: string, tail: string, more: unknown[] = []) =>
    pool.query<TrafficRow>(`SELECT ${columns}${columns ? ', ' : ''}${sums} FROM "TrafficMinute" WHERE ${where} ${tail}`, [...values, ...more])
  const step = `floor(extract(epoch FROM "minute") / $5) * $5`
  const [points, total, hosts, instances] = await Promise.all([
    read(`(${step})::float8 AS "at"`, 'GROUP BY 1', [stepSeconds]),
    read('', ''),
    read('"host"', 'GROUP BY 1 ORDER BY "requests" DESC, 1 LIMIT $5', [shownRows]),
    read(`"instanceId", "deploymentId"`, `AND "instanceId" <> '' GROUP BY 1, 2 ORDER BY "requests" DESC, 1 LIMIT $5`, [shownRows]),
  ])
  const byStep = new Map(points.rows.map((row) => [row.at, row]))
  return {
    from: isoOf(first),
    to: isoOf(last + stepSeconds),
    stepSeconds,
    total: present(total.rows[0] ?? empty),
    points: Array.from({ length: lengthSeconds / stepSeconds }, (_, i) => {
      const at = first + i * stepSeconds
      return { at: isoOf(at), ...present(byStep.get(at) ?? empty) }
    }),
    hosts: hosts.rows.map((row) => ({ host: row.host, ...present(row) })),
    instances: instances.rows.map((row) => ({ instanceId: row.instanceId, deploymentId: row.deploymentId || null, ...present(row) })),
  }
}

const isoOf = (seconds: number) => new Date(seconds * 1000).toISOString()

function present(row: SumRow): TrafficSums {
  // SQL sums over no rows are null.
  return {
    requests: row.requests ?? 0,
    statuses: row.statuses,
    bytesIn: row.bytesIn ?? 0,
    bytesOut: row.bytesOut ?? 0,
    cacheHits: row.cacheHits ?? 0,
    p50: percentile(row.latency, 0.5),
    p95: percentile(row.latency, 0.95),
    p99: percentile(row.latency, 0.99),
  }
}
