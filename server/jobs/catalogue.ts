import { z } from 'zod'

/** Kinds of durable job with their payloads. Each kind is a separate lane with its own concurrency. */
export const jobCatalogue = {
  /** Runs a deployment to its final status. Attempts are counted: another worker takes over after a crash. */
  deploy: { payload: z.object({ deploymentId: z.string() }), maxAttempts: 3 },
  /** Starts the environment's live release if no instance of it runs. */
  heal: { payload: z.object({ environmentId: z.string() }), maxAttempts: 5 },
  /** Removes a project's old artifacts that no rollback can use. */
  prune: { payload: z.object({ projectId: z.string() }), maxAttempts: 2 },
} as const
export type JobKind = keyof typeof jobCatalogue
export type JobPayload<K extends JobKind> = z.infer<(typeof jobCatalogue)[K]['payload']>
