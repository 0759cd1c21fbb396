import type { ProjectRules } from '../project-rules'
import { compileRules, type Matcher } from './rules'

/**
 * Estimated memory of rules in a router, in bytes: their JSON as objects, each rule, each instruction of an expression, each `:name` in a text.
 * The length of the text alone bounds nothing, because a short `a{1000}` costs as much as a long text. The weight also bounds the size of a
 * route table: the JSON of rules is at most a quarter of their weight.
 */
const perByte = 4
const perRule = 512
const perInstruction = 128
const perReference = 64
const mebibyte = 1024 * 1024

/** Limits of rules, checked when rules are written and again when a route table is computed. */
export const ruleLimits = {
  /** Redirects, rewrites or header rules: of the files, and as many again of the dashboard. */
  ofAKind: 1024,
  rateLimits: 64,
  /** Weight of the rules in the files, and as much again of the dashboard. */
  sourceWeight: 8 * mebibyte,
  /** Weight of all rules of a project: of its live deployment and of older deployments with other rules. */
  projectWeight: 32 * mebibyte,
  /** Weight of all rules of the installation; beyond it, the largest teams are closed first. */
  totalWeight: 256 * mebibyte,
} as const

/** Weight of the JSON of rules, without their compiled form. */
export function textWeight(policy: Partial<ProjectRules>): number {
  const text = JSON.stringify(policy)
  const references = text.match(/[:$][\w{]/g)?.length ?? 0
  return perByte * utf8.encode(text).length + perReference * references
}
const utf8 = new TextEncoder()

/** Weight of a compiled rule, without its JSON. */
export const ruleWeight = ({ pattern, conditions }: Matcher): number =>
  perRule + perInstruction * (pattern.instructions + (conditions?.instructions ?? 0))

/** Why the rules of one source exceed their limits; null: they do not. `weight`: the result of `weigh`, if known. */
export function findExcess(policy: Partial<ProjectRules>, weight: number = weigh(policy)): string | null {
  for (const kind of ['redirects', 'rewrites', 'headers'] as const) {
    const count = policy[kind]?.length ?? 0
    if (count > ruleLimits.ofAKind) return `${count} ${kind}, and at most ${ruleLimits.ofAKind} are allowed`
  }
  const limits = policy.rateLimits?.length ?? 0
  if (limits > ruleLimits.rateLimits) return `${limits} rate limits, and at most ${ruleLimits.rateLimits} are allowed`
  return weight > ruleLimits.sourceWeight ? `the rules weigh ${sizeText(weight)}, and at most ${sizeText(ruleLimits.sourceWeight)} are allowed` : null
}

/** Weight of rules. Stops compiling beyond `projectWeight`: rules are untrusted input. */
export function weigh(policy: Partial<ProjectRules>): number {
  let weight = textWeight(policy)
  for (const rule of compileRules(policy)) {
    weight += ruleWeight(rule)
    if (weight > ruleLimits.projectWeight) break
  }
  return weight
}

/** Formats bytes: "4 MiB". */
export const sizeText = (weight: number): string =>
  weight < mebibyte ? `${Math.ceil(weight / 1024)} KiB` : `${Math.ceil((weight * 10) / mebibyte) / 10} MiB`
