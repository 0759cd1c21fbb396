import { z } from 'zod'

/** The connection of a project to its Git host's API, by which deployments are reported there. A token goes in and never comes out. */

export const forgeProviders = ['github', 'gitlab', 'bitbucket', 'gitea'] as const
export type ForgeProvider = (typeof forgeProviders)[number]
export const forgeLabels: Readonly<Record<ForgeProvider, string>> = { github: 'GitHub', gitlab: 'GitLab', bitbucket: 'Bitbucket', gitea: 'Gitea' }

const iso = z.iso.datetime()
const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(500)

export const forgeInput = z.object({
  provider: z.enum(forgeProviders),
  apiUrl: url.optional().meta({ description: 'Address of the API; by default that of github.com, gitlab.com or bitbucket.org.' }),
  repository: z
    .string()
    .trim()
    .max(500)
    .regex(/^[\w.~-]+(\/[\w.~-]+)+$/, 'must be like owner/name')
    .optional()
    .meta({ description: 'owner/name; by default as in the repository address of the project.' }),
  token: z
    .string()
    .trim()
    .min(1)
    .max(2_000)
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without blanks')
    .meta({ description: 'A token that may write commit statuses, comments and deployments; for Bitbucket also "e-mail:token".' }),
})
export type ForgeInput = z.output<typeof forgeInput>

export const forgeProblem = z.object({ message: z.string(), nextAction: z.string(), at: iso })
export type ForgeProblem = z.infer<typeof forgeProblem>

export const forgeView = z.object({
  provider: z.enum(forgeProviders),
  apiUrl: z.string(),
  repository: z.string(),
  /** Why the last report did not arrive; null: it did. */
  problem: forgeProblem.nullable(),
  /** Nothing is sent until then, because a rate limit is used up. */
  pausedUntil: iso.nullable(),
  createdAt: iso,
  updatedAt: iso,
})
export type ForgeView = z.infer<typeof forgeView>
