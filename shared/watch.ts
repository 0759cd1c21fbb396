import { z } from 'zod'

/**
 * What the watch after a switch found (docs/operations.md). `superseded`: another version went live before the end.
 * `too_little_traffic`: nothing speaks against the version, and too few requests speak for it.
 */
export const watchVerdicts = ['watching', 'ok', 'too_little_traffic', 'worse', 'superseded'] as const
export type WatchVerdict = (typeof watchVerdicts)[number]

/** Of the answers of one version, by the routers' own count. */
const figures = z.object({
  deploymentId: z.string(),
  requests: z.number(),
  /** Answers with a status of 500 or more. */
  errors: z.number(),
  /** null: no answers. */
  p95Ms: z.number().nullable(),
  /** Length of the time that the figures cover. */
  seconds: z.number(),
})
export type WatchFigures = z.infer<typeof figures>

export const watchView = z.object({
  verdict: z.enum(watchVerdicts),
  /** The evidence in words. */
  reason: z.string(),
  now: figures,
  /** The version that was live before. */
  before: figures,
  bounds: z.object({ errorPercent: z.number(), latencyFactor: z.number(), requests: z.number() }),
  /** Id of the automatic rollback's deployment; null: no rollback was started. */
  rollbackId: z.string().nullable(),
  /** null: still watched. */
  decidedAt: z.iso.datetime().nullable(),
})
export type WatchView = z.infer<typeof watchView>
