import { z } from 'zod'

/** Every kind of durable work and its payload. A kind that is not here cannot be queued. Each kind is a lane: it waits for its own kind only. */
export const jobCatalogue = {
  /** Brings one deployment to its end. Taken over after a crash, so it counts its attempts. */
  deploy: { payload: z.object({ deploymentId: z.string() }), maxAttempts: 3 },
  /** Compares what the environment should run with what runs, and converges. */
  heal: { payload: z.object({ environmentId: z.string() }), maxAttempts: 5 },
  /** Removes artifacts nobody can go back to. */
  prune: { payload: z.object({ projectId: z.string() }), maxAttempts: 2 },
} as const
export type JobKind = keyof typeof jobCatalogue
export type JobPayload<K extends JobKind> = z.infer<(typeof jobCatalogue)[K]['payload']>
