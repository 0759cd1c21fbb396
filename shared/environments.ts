import { z } from 'zod'
import { runtimeSettings, runtimeSettingsPatch } from './runtime-settings'
import { deploymentSummary } from './views'

/** Name of the environment that all previews of a project inherit variables and settings from. Nothing is deployed to it. */
export const templateName = 'preview'

const iso = z.iso.datetime()
const branch = z.string().trim().max(250).nullish()

/** How an environment is protected where no rule says it: by share links, or not at all. */
const environmentProtection = z.enum(['link', 'none'])
export type EnvironmentProtection = z.infer<typeof environmentProtection>

/** An environment of a project: production, one preview per pull request, and custom ones. */
export const environmentView = z.object({
  id: z.string(),
  projectId: z.string(),
  projectSlug: z.string(),
  name: z.string(),
  kind: z.enum(['production', 'preview', 'custom']),
  /** True for the environment that all previews inherit from: it has no address and no deployments. */
  template: z.boolean(),
  url: z.string().nullable(),
  /** Pushes to this branch are deployed. null: production deploys the project's branch; others deploy no pushes. */
  branch: z.string().nullable(),
  pullRequest: z.number().nullable(),
  title: z.string().nullable(),
  author: z.string().nullable(),
  /** The request comes from a fork: nothing of it runs before a member approves it. */
  fork: z.boolean(),
  /** Commit of a fork that waits for approval; null: none was delivered. */
  waitingCommit: z.string().nullable(),
  approval: z.object({ by: z.string(), at: iso }).nullable(),
  autoDeploy: z.boolean(),
  /** Why pushes are not deployed at present. */
  paused: z.object({ reason: z.string(), at: iso }).nullable(),
  /** While locked no deployment is accepted. */
  lock: z.object({ reason: z.string(), by: z.string(), at: iso }).nullable(),
  /** Settings that hold in it. */
  runtimeSettings,
  /** Names of those that are its own; the others are inherited. */
  ownSettings: z.array(z.string()),
  /** `link`: visitors need a share link, or what the rules ask for. Previews have it unless set otherwise. */
  protection: environmentProtection,
  /** Whether it is set for this environment; else it is inherited. */
  ownProtection: z.boolean(),
  expiresAt: iso.nullable(),
  closedAt: iso.nullable(),
  createdAt: iso,
  liveDeployment: deploymentSummary.nullable(),
  latestDeployment: deploymentSummary.nullable(),
  /** The deployment that a rollback of this environment returns to. */
  rollbackTo: deploymentSummary.nullable(),
})
export type EnvironmentView = z.infer<typeof environmentView>

export const environmentInput = z.object({
  name: z
    .string()
    .trim()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?$/, 'lower case letters, digits and dashes, at most 30 characters')
    .refine((name) => !/^pr-\d+$/.test(name) && !name.startsWith('git-'), 'names like pr-7 and git-… belong to previews'),
  branch,
})

/** A missing field stays as it is. */
export const environmentPatch = z.object({
  branch,
  autoDeploy: z.boolean().optional().meta({ description: 'true also resumes automatic deploys after a rollback.' }),
  lock: z.string().trim().min(1).max(500).nullish().meta({ description: 'Reason; null unlocks.' }),
  runtimeSettings: runtimeSettingsPatch.optional(),
  protection: environmentProtection.nullish().meta({ description: 'null: as all previews, or none.' }),
})

/** Lifetime of a share link in days. */
export const shareLinkDays = { max: 365, default: 30 } as const

export const shareLinkView = z.object({
  id: z.string(),
  /** `shared`: made by a person; `opened`: of a member who opened it from the dashboard. */
  purpose: z.enum(['shared', 'opened']),
  name: z.string().nullable(),
  /** URL with the token. It grants access to the environment until the link expires. */
  url: z.string(),
  createdBy: z.string(),
  createdAt: iso,
  expiresAt: iso,
})
export type ShareLinkView = z.infer<typeof shareLinkView>

export const shareLinkInput = z.object({
  name: z.string().trim().min(1).max(100).nullish().meta({ description: 'For whom, or for what.' }),
  days: z.number().int().min(1).max(shareLinkDays.max).default(shareLinkDays.default).meta({ description: 'How long it opens the environment.' }),
})
