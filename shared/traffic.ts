import { z } from 'zod'
import { latencyBoundsMs } from './link'
import { wholeNumberOr } from './query-number'

/** Traffic in the dashboard and REST v1. */

/** Time ranges of the chart, and the width of a point, in seconds. */
export const trafficRanges = {
  '1h': { lengthSeconds: 3_600, stepSeconds: 60 },
  '6h': { lengthSeconds: 21_600, stepSeconds: 300 },
  '24h': { lengthSeconds: 86_400, stepSeconds: 900 },
  '7d': { lengthSeconds: 604_800, stepSeconds: 7_200 },
  '30d': { lengthSeconds: 2_592_000, stepSeconds: 21_600 },
} as const
export type TrafficRange = keyof typeof trafficRanges
export const trafficRange = z.enum(Object.keys(trafficRanges) as [TrafficRange, ...TrafficRange[]])

export const trafficQuery = z.object({
  range: trafficRange.default('1h').meta({ description: 'How far back.' }),
  host: z.string().min(1).max(260).optional().meta({ description: 'One host alone.' }),
})

/** Sums over a time range, in milliseconds. Percentiles come from the histogram; null: no responses. */
const trafficSums = z.object({
  requests: z.number(),
  /** Counts by the first digit of the status; index 0: clients that disconnected before the response. */
  statuses: z.array(z.number()).length(6),
  bytesIn: z.number(),
  bytesOut: z.number(),
  cacheHits: z.number(),
  p50: z.number().nullable(),
  p95: z.number().nullable(),
  p99: z.number().nullable(),
})
export type TrafficSums = z.output<typeof trafficSums>

export const trafficSeries = z.object({
  /** Start of the first point, ISO 8601. */
  from: z.string(),
  to: z.string(),
  stepSeconds: z.number(),
  total: trafficSums,
  /** One point per step, including empty ones. */
  points: z.array(trafficSums.extend({ at: z.string() })),
  /** Hosts with the most requests, at most 20. */
  hosts: z.array(trafficSums.extend({ host: z.string() })),
  instances: z.array(trafficSums.extend({ instanceId: z.string(), deploymentId: z.string().nullable() })),
})
export type TrafficSeries = z.output<typeof trafficSeries>

const statusFilter = z
  .string()
  .regex(/^[1-5](xx|[0-9]{2})$/, 'must be a status (404) or a class (5xx)')
  .optional()
  .meta({ description: 'A status (404) or a class (5xx).' })
const requestFilterShape = {
  status: statusFilter,
  path: z.string().min(1).max(200).optional().meta({ description: 'Part of path or query.' }),
  host: z.string().min(1).max(260).optional(),
  method: z
    .string()
    .regex(/^[A-Z]{1,20}$/)
    .optional(),
  requestId: z.string().min(1).max(200).optional().meta({ description: 'As in X-Request-Id of the answer.' }),
}
export const requestFilter = z.object(requestFilterShape)
export type RequestFilter = z.output<typeof requestFilter>
export const requestsQuery = z.object({
  ...requestFilterShape,
  limit: wholeNumberOr(50, 1, 200),
  cursor: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional(),
})

/** One sampled request. */
export const requestView = z.object({
  id: z.string(),
  at: z.string(),
  requestId: z.string(),
  deploymentId: z.string().nullable(),
  instanceId: z.string().nullable(),
  host: z.string(),
  /** null: the default port of the scheme, or unknown. */
  port: z.number().nullable(),
  method: z.string(),
  target: z.string(),
  status: z.number(),
  durationMs: z.number(),
  upstreamMs: z.number().nullable(),
  bytesIn: z.number(),
  bytesOut: z.number(),
  cache: z.string(),
  protocol: z.string(),
  scheme: z.string(),
  clientIp: z.string(),
  userAgent: z.string(),
  reason: z.string().nullable(),
})
export type RequestView = z.output<typeof requestView>
export const requestList = z.object({ items: z.array(requestView), nextCursor: z.string().nullable() })
export type RequestList = z.output<typeof requestList>

/** A router removed an instance from rotation, or added it again. */
export const targetEventView = z.object({
  id: z.string(),
  at: z.string(),
  instanceId: z.string(),
  state: z.enum(['ejected', 'restored']),
  reason: z.string(),
})
export type TargetEventView = z.output<typeof targetEventView>
export const targetEventList = z.object({ items: z.array(targetEventView) })

/**
 * Percentile of a histogram, interpolated within its bucket (as Prometheus' histogram_quantile). null: no requests. Values beyond the last bound
 * count as the last bound.
 */
export function percentile(latency: readonly number[], share: number): number | null {
  const total = latency.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const rank = share * total
  let below = 0
  for (const [i, upper] of latencyBoundsMs.entries()) {
    const count = latency[i] ?? 0
    if (count > 0 && below + count >= rank) {
      const lower = i === 0 ? 0 : (latencyBoundsMs[i - 1] ?? 0)
      return lower + ((upper - lower) * (rank - below)) / count
    }
    below += count
  }
  return latencyBoundsMs.at(-1) ?? null
}
