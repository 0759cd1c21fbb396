import { z } from 'zod'
import { latencyBoundsMs } from '@/shared/link'

/** Schemas of router reports, which may come from another version of the router. */

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const id = z.string().min(1).max(64)

const trafficCounters = z.object({
  projectId: id.nullable(),
  deploymentId: id.nullable(),
  host: z.string().max(260),
  instanceId: id.nullable(),
  requests: count,
  durationMs: z.number().min(0),
  statuses: z.array(count).length(6),
  bytesIn: count,
  bytesOut: count,
  cacheHits: count,
  latency: z.array(count).length(latencyBoundsMs.length + 1),
})
export type CheckedCounters = z.output<typeof trafficCounters>
/** ms since 1970; Postgres rejects six-digit years. */
const time = z.number().min(0).max(Date.UTC(9999, 0))
export const trafficReport = z.object({ from: time, to: time, counters: z.array(trafficCounters).max(10_000) })

// Postgres text must not contain NUL, and lone surrogates are not valid UTF-8.
const text = (max: number) =>
  z
    .string()
    .max(max)
    .transform((value) => value.replaceAll('\u0000', '\uFFFD').toWellFormed())
const accessLine = z.object({
  at: time,
  requestId: text(200),
  projectId: id.nullable(),
  deploymentId: id.nullable(),
  instanceId: id.nullable(),
  host: text(512),
  port: z.number().int().min(1).max(65_535).nullish(),
  method: text(512),
  target: text(2_048),
  status: z.number().int().min(0).max(999),
  durationMs: z.number().min(0),
  upstreamMs: z.number().min(0).nullable(),
  bytesIn: count,
  bytesOut: count,
  cache: text(20),
  protocol: text(20),
  scheme: text(10),
  clientIp: text(64),
  userAgent: text(512),
  reason: text(200).nullable(),
})
export type CheckedLine = z.output<typeof accessLine>
export const accessReport = z.object({ lines: z.array(accessLine).max(10_000), dropped: count })

export const healthReport = z.object({
  events: z.array(z.object({ instanceId: id, state: z.enum(['ejected', 'restored']), reason: text(300), at: time })).max(1_000),
})
export type CheckedHealthEvent = z.output<typeof healthReport>['events'][number]
