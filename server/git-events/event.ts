import { z } from 'zod'

/** What a delivery of any Git host says, in one form. Stored with the delivery, so that it can be decided again. */

const sha = z.string().regex(/^[0-9a-f]{7,64}$/)

export const pushEvent = z.object({
  kind: z.literal('push'),
  /** Path of the repository at its host: `acme/shop`. */
  repository: z.string(),
  branch: z.string(),
  /** null: the branch was created. */
  before: sha.nullable(),
  /** null: the branch was deleted. */
  after: sha.nullable(),
  forced: z.boolean(),
  message: z.string().nullable(),
  author: z.string().nullable(),
  /** Paths of all changed files. null: the payload does not list them all. */
  files: z.array(z.string()).nullable(),
  /** null: the payload does not name it. */
  defaultBranch: z.string().nullable(),
})
export type PushEvent = z.infer<typeof pushEvent>

export const pullRequestChanges = ['opened', 'synchronized', 'reopened', 'closed', 'merged'] as const

export const pullRequestEvent = z.object({
  kind: z.literal('pull-request'),
  repository: z.string(),
  number: z.number().int().positive(),
  change: z.enum(pullRequestChanges),
  headBranch: z.string(),
  /** Bitbucket abbreviates it. */
  headSha: sha,
  /** Ref of the base repository that holds the head. null: the host has none. */
  headRef: z.string().nullable(),
  fork: z.boolean(),
  base: z.string(),
  title: z.string(),
  author: z.string().nullable(),
  message: z.string().nullable(),
  /** ISO 8601, by the clock of the host. */
  updatedAt: z.iso.datetime().nullable(),
})
export type PullRequestEvent = z.infer<typeof pullRequestEvent>

export const gitEvent = z.discriminatedUnion('kind', [
  pushEvent,
  pullRequestEvent,
  /** A test delivery. */
  z.object({ kind: z.literal('ping') }),
  /** Nothing that deploys; `why` completes "ignored: ". */
  z.object({ kind: z.literal('other'), why: z.string() }),
])
export type GitEvent = z.infer<typeof gitEvent>

/** Events of one subject are decided together. null: decided when received. */
export function subjectOf(event: GitEvent): string | null {
  if (event.kind === 'push') return `branch:${event.branch}`
  return event.kind === 'pull-request' ? `pull:${event.number}` : null
}

/** A commit id as people read it. */
export const short = (sha: string): string => sha.slice(0, 7)
