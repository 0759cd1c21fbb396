import { z } from 'zod'
import { pageInput } from './views'

/** Events that Git hosts announce by webhooks, and what the platform decides about each. */

export const gitProviders = ['github', 'gitlab', 'bitbucket', 'gitea'] as const
export type GitProvider = (typeof gitProviders)[number]
export const isGitProvider = (text: string): text is GitProvider => (gitProviders as readonly string[]).includes(text)

/**
 * pending: not decided yet. queued: a deployment was queued. waiting: a member has to approve it. done: handled without a deployment (a test
 * delivery, a closed pull request). failed: it could not be handled and can be replayed.
 */
export const gitDecisions = ['pending', 'queued', 'waiting', 'ignored', 'done', 'failed'] as const
export type GitDecision = (typeof gitDecisions)[number]

const iso = z.iso.datetime()
const id = z.string().min(1).max(64)

export const deliveryView = z.object({
  id: z.string(),
  projectId: z.string(),
  direction: z.literal('in'),
  provider: z.enum(gitProviders),
  /** As the Git host names it: `push`, `pull_request.opened`. */
  event: z.string(),
  /** The Git host's own id of the delivery. */
  deliveryId: z.string(),
  branch: z.string().nullable(),
  pullRequest: z.number().nullable(),
  commitSha: z.string().nullable(),
  message: z.string().nullable(),
  author: z.string().nullable(),
  receivedAt: iso,
  decidedAt: iso.nullable(),
  decision: z.enum(gitDecisions),
  reason: z.string(),
  deploymentIds: z.array(z.string()),
  /** How often the Git host sent the same delivery again. */
  repeats: z.number(),
  replayOf: z.string().nullable(),
  replayable: z.boolean(),
  /** A member can approve the commit of a fork. */
  approvable: z.boolean(),
})
export type DeliveryView = z.infer<typeof deliveryView>

export const deliveriesQuery = pageInput.extend({
  projectId: id.optional().meta({ description: 'Id or slug of a project.' }),
  decision: z.enum(gitDecisions).optional(),
})

export const gitHookView = z.object({
  projectId: z.string(),
  /** Path of the webhook for each provider, below the address of the dashboard. */
  paths: z.record(z.enum(gitProviders), z.string()),
  urls: z.record(z.enum(gitProviders), z.string()),
  secret: z.string(),
  /** The secret before the last rotation is accepted until then. */
  previousSecretUntil: iso.nullable(),
  lastDeliveryAt: iso.nullable(),
})
export type GitHookView = z.infer<typeof gitHookView>

export const deployHookView = z.object({
  id: z.string(),
  projectId: z.string(),
  name: z.string(),
  environment: z.string(),
  /** null: the branch of the environment. */
  branch: z.string().nullable(),
  /** The first characters of its token. */
  prefix: z.string(),
  createdAt: iso,
  lastUsedAt: iso.nullable(),
})
export type DeployHookView = z.infer<typeof deployHookView>

export const deployHookInput = z.object({
  name: z.string().trim().min(1).max(100),
  environment: z.string().trim().min(1).max(100).default('production'),
  branch: z.string().trim().min(1).max(250).nullish(),
})
