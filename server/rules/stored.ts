import type { ProjectRules } from '@/shared/project-rules'
import { headerRuleSchema, projectRulesFields, rateLimitRuleSchema, redirectRuleSchema, rewriteRuleSchema } from '@/shared/project-rules-schema'
import { findRuleProblems } from '@/shared/rules/rules'
import { ruleLimits, sizeText, weigh } from '@/shared/rules/weight'

/** Rules of one source: files or dashboard. */
export type PartialRules = Partial<ProjectRules>

/** Fields that restrict access. If such a field is unreadable the project is closed: ignoring the field would grant access. */
export const accessFields = ['protection', 'allowedAddresses', 'maintenance'] as const
export type AccessField = (typeof accessFields)[number]

/** The readable part of a stored rules column. */
export interface StoredRules {
  policy: PartialRules
  /** Access fields that are set but unreadable. */
  unreadAccess: AccessField[]
  /** Why no rule can be used; all access fields then count as unreadable. null: usable. */
  unusable: string | null
  /** Descriptions of the omitted rules and fields. */
  leftOut: string[]
  weight: number
}

const ruleSchemas = { redirects: redirectRuleSchema, rewrites: rewriteRuleSchema, headers: headerRuleSchema, rateLimits: rateLimitRuleSchema }
type RuleKind = keyof typeof ruleSchemas
const isRuleKind = (key: string): key is RuleKind => Object.hasOwn(ruleSchemas, key)
const isField = (key: string): key is keyof ProjectRules => Object.hasOwn(projectRulesFields, key)

/** Maximum number of descriptions in `leftOut`. */
const maxNamed = 5

/** Rules of which no part can be used. */
export const unusable = (why: string): StoredRules => ({ policy: {}, unreadAccess: [...accessFields], unusable: why, leftOut: [], weight: 0 })

/** All fields of a column, readable or not. */
export const rawFields = (json: unknown): Record<string, unknown> => (isFields(json) ? { ...json } : {})
/** Whether a column holds a JSON object. */
export const isFields = (json: unknown): json is Record<string, unknown> => typeof json === 'object' && json !== null && !Array.isArray(json)

/**
 * Validates a column's JSON with the same checks as the routers. A newer version or a direct database write may have stored invalid rules:
 * they are omitted and described in `leftOut`. An unreadable access field is never treated as unset.
 */
export function readStored(json: unknown): StoredRules {
  if (json === null || json === undefined) return { policy: {}, unreadAccess: [], unusable: null, leftOut: [], weight: 0 }
  if (!isFields(json)) return unusable('they are not what rules are stored as')
  const read: StoredRules = { policy: {}, unreadAccess: [], unusable: null, leftOut: [], weight: 0 }
  const places: Places = {}
  for (const [key, value] of Object.entries(json)) readField(read, places, key, value)
  read.weight = weigh(read.policy)
  const { sourceWeight } = ruleLimits
  if (read.weight > sourceWeight) return unusable(`they weigh ${sizeText(read.weight)} or more, and at most ${sizeText(sourceWeight)} are allowed`)
  leaveOutUncompiled(read, places)
  if (read.leftOut.length > maxNamed) read.leftOut.splice(maxNamed - 1, read.leftOut.length, `${read.leftOut.length - maxNamed + 1} more parts`)
  return read
}

/** Original list positions of the rules that were kept. */
type Places = { [K in RuleKind]?: number[] }

function readField(read: StoredRules, places: Places, key: string, value: unknown): void {
  if (!isField(key)) {
    read.leftOut.push(`"${key.slice(0, 50)}" is not known to this version`)
    return
  }
  const parsed = projectRulesFields[key].safeParse(value)
  if (parsed.success) Object.assign(read.policy, { [key]: parsed.data })
  else if (isRuleKind(key) && Array.isArray(value)) places[key] = readRules(read, key, value)
  else if ((accessFields as readonly string[]).includes(key)) read.unreadAccess.push(key as AccessField)
  else read.leftOut.push(`"${key}" is not understood: ${parsed.error.issues[0]?.message ?? 'wrong kind of value'}`)
}

/** Reads each rule separately: an unknown rule of a newer version must not discard the others. */
function readRules(read: StoredRules, kind: RuleKind, list: readonly unknown[]): number[] {
  const rules = list.flatMap((item, i) => {
    const parsed = ruleSchemas[kind].safeParse(item)
    if (parsed.success) return [{ rule: parsed.data, i }]
    read.leftOut.push(`${kind} ${i + 1} is not understood: ${parsed.error.issues[0]?.message ?? 'wrong kind of value'}`)
    return []
  })
  Object.assign(read.policy, { [kind]: rules.map(({ rule }) => rule) })
  return rules.map(({ i }) => i)
}

function leaveOutUncompiled(read: StoredRules, places: Places): void {
  const wrong = new Map(findRuleProblems(read.policy).map(({ at, message }) => [at, message]))
  if (wrong.size === 0) return
  for (const kind of Object.keys(ruleSchemas) as RuleKind[]) {
    const rules: readonly unknown[] = read.policy[kind] ?? []
    const kept = rules.filter((_, i) => {
      const message = wrong.get(`${kind}.${i}`)
      if (message !== undefined) read.leftOut.push(`${kind} ${(places[kind]?.[i] ?? i) + 1}: ${message}`)
      return message === undefined
    })
    if (kept.length < rules.length) Object.assign(read.policy, { [kind]: kept })
  }
}
