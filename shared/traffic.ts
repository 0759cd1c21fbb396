import { z } from 'zod'
import { latencyBoundsMs } from './link'

/** What the dashboard and REST v1 say about traffic. */

/** How far back, and how wide a point of the chart is. Seconds. */
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

/** Sums of a span of time; percentiles are read off the histogram and null where nothing was answered. Milliseconds. */
const trafficSums = z.object({
  requests: z.number(),
  /** By first digit of the status; the first is of clients that left before an answer. */
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
  /** Beginning of the first point, ISO 8601. */
  from: z.string(),
  to: z.string(),
  stepSeconds: z.number(),
  total: trafficSums,
  /** Every step has its point, empty ones too. */
  points: z.array(trafficSums.extend({ at: z.string() })),
  /** The busiest, at most 20 of each. */
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
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional(),
})

/** A request that was written down. */
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

/** A router took an instance out of the rotation, or back in. */
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
 * The duration below which a share of the requests stayed, read off a histogram by interpolation within its bucket (as Prometheus'
 * histogram_quantile does). null without requests; the last bound for what is beyond it.
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
