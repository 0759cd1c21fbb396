import { z } from 'zod'

/** Kinds of durable job with their payloads. Each kind is a separate lane with its own concurrency. */
export const jobCatalogue = {
  /** Builds the artifact of a deployment, then queues its release. Attempts are counted: another worker takes over after a crash. */
  build: { payload: z.object({ deploymentId: z.string() }), maxAttempts: 3 },
  /** Starts the release of a deployment and switches traffic to it. A lane of its own: a rollback never waits for builds. */
  release: { payload: z.object({ deploymentId: z.string() }), maxAttempts: 3 },
  /** Starts the environment's live release if no instance of it runs. */
  heal: { payload: z.object({ environmentId: z.string() }), maxAttempts: 5 },
  /** Decides about the pending events of Git hosts. What is never decided is taken up at the next event or start. */
  'git-events': { payload: z.object({ projectId: z.string() }), maxAttempts: 10 },
  /** Removes a project's old artifacts that no rollback can use. */
  prune: { payload: z.object({ projectId: z.string() }), maxAttempts: 2 },
} as const
export type JobKind = keyof typeof jobCatalogue
export type JobPayload<K extends JobKind> = z.infer<(typeof jobCatalogue)[K]['payload']>
