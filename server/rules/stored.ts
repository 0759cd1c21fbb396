import { z } from 'zod'
import type { ProjectRules } from '@/shared/project-rules'
import { projectRulesFields } from '@/shared/project-rules-schema'
import { findRuleProblems } from '@/shared/rules/rules'
import { findExcess, weigh } from '@/shared/rules/weight'

/** Rules of one source: files or dashboard. */
export type PartialRules = Partial<ProjectRules>

/** A rules column, checked. */
export interface StoredRules {
  policy: PartialRules
  /** Why the rules cannot be used, which closes the project; null: valid. */
  invalid: string | null
  /** Estimated memory in a router, in bytes. */
  weight: number
}

const columnSchema = z.strictObject(projectRulesFields).partial()

/** Rules that close their project. */
export const invalidRules = (why: string): StoredRules => ({ policy: {}, invalid: why, weight: 0 })

/**
 * Checks the JSON of a rules column with the schema, limits and compiler of the routers. Rules are valid as a whole or not at all: a part that
 * cannot be read may restrict access.
 */
export function readStored(json: unknown): StoredRules {
  if (json === null || json === undefined) return { policy: {}, invalid: null, weight: 0 }
  const parsed = columnSchema.safeParse(json)
  if (!parsed.success) {
    const { path = [], message = '' } = parsed.error.issues[0] ?? {}
    return invalidRules(path.length > 0 ? `${path.join('.')}: ${message}` : message)
  }
  const weight = weigh(parsed.data)
  const excess = findExcess(parsed.data, weight)
  if (excess !== null) return invalidRules(excess)
  const problem = findRuleProblems(parsed.data)[0]
  return problem ? invalidRules(`${problem.at}: ${problem.message}`) : { policy: parsed.data, invalid: null, weight }
}
