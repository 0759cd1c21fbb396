import { z } from 'zod'
import type { ProjectRules } from './project-rules'
import { projectRulesFields } from './project-rules-schema'

/** A project's rules as the dashboard and the API set and show them. Secrets are write-only. */

const { protection: _stored, ...open } = projectRulesFields
export const projectRulesKeys = Object.keys(projectRulesFields) as [keyof ProjectRules, ...(keyof ProjectRules)[]]

const userName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^:\p{Cc}]+$/u, 'must have no colon')

const protectionInput = z
  .discriminatedUnion('kind', [
    z.object({
      kind: z.literal('basic'),
      users: z
        .array(
          z.object({
            name: userName,
            password: z.string().min(8, 'must have 8 characters or more').max(200).optional().meta({ description: 'Left out: as it was.' }),
          }),
        )
        .min(1)
        .max(50),
    }),
    z.object({
      kind: z.literal('token'),
      keep: z.array(z.string().max(64)).max(50).default([]).meta({ description: 'Ids of tokens that stay valid.' }),
      create: z.number().int().min(0).max(5).default(0).meta({ description: 'How many new ones to make; shown once, in the answer.' }),
    }),
  ])
  .nullable()

const protectionView = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('basic'), users: z.array(z.object({ name: z.string() })) }),
    z.object({ kind: z.literal('token'), tokens: z.array(z.object({ id: z.string() })) }),
  ])
  .nullable()

export const rulesPatch = z
  .object({
    ...z.object(open).partial().shape,
    protection: protectionInput.optional(),
    reset: z
      .array(z.enum(projectRulesKeys))
      .max(projectRulesKeys.length)
      .optional()
      .meta({ description: 'Fields that shall be as the files say again.' }),
    versions: z
      .partialRecord(z.enum(projectRulesKeys), z.string().max(64))
      .optional()
      .meta({ description: 'Versions of fields as they were read, "" for one that was not set: 409 when one was changed since.' }),
  })
  .strict()
export type RulesPatch = z.output<typeof rulesPatch>

const partialView = z.object({ ...open, protection: protectionView }).partial()

export const rulesView = z.object({
  /** Rules set in the dashboard or by the API; they take precedence over the files. */
  settings: partialView,
  /** Of an environment: rules of the project and of all previews, over which its own are laid. */
  inherited: partialView,
  /** Rules in the files of the live deployment. */
  files: partialView,
  /** External hosts that rewrites may use; set by the operator. */
  outsideHosts: z.array(z.string()),
  /** Version of each field set here. Send the versions of the fields that you change, to detect concurrent changes by others. */
  versions: z.record(z.string(), z.string()),
})
export type RulesView = z.infer<typeof rulesView>

export const rulesUpdated = rulesView.extend({ newTokens: z.array(z.string()) })
export type RulesUpdated = z.infer<typeof rulesUpdated>
