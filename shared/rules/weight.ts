import type { ProjectRules } from '../project-rules'
import { compileRules, type Matcher } from './rules'

/**
 * What rules cost a router, in bytes of its memory, roughly: their JSON as objects, each rule's own parts, each instruction of an
 * expression, each `:name` in a text. A short `a{1000}` costs as much as a long text, so that the text alone bounds nothing. The bytes of a
 * table are bounded by it, too: its policies have a quarter of their weight at most.
 */
const perByte = 4
const perRule = 512
const perInstruction = 128
const perReference = 64
const mebibyte = 1024 * 1024

/** Bounds on rules, checked where they are made and once more where a table is made of them. */
export const ruleLimits = {
  /** Redirects, rewrites or header rules of the files, and as many of the dashboard. */
  ofAKind: 1024,
  rateLimits: 64,
  /** Of the files, and again of the dashboard. */
  sourceWeight: 8 * mebibyte,
  /** Of one project: what is live and what its older deployments have that differs. */
  projectWeight: 32 * mebibyte,
  /** Of the installation; beyond it, teams with the most give way first. */
  totalWeight: 256 * mebibyte,
} as const

/** Of what is said. */
export function textWeight(policy: Partial<ProjectRules>): number {
  const text = JSON.stringify(policy)
  const references = text.match(/[:$][\w{]/g)?.length ?? 0
  return perByte * utf8.encode(text).length + perReference * references
}
const utf8 = new TextEncoder()

/** Of one rule made ready. */
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

/** Of a whole policy, or more than any bound: what strangers wrote is not compiled to its end for the sake of a figure. */
export function weigh(policy: Partial<ProjectRules>): number {
  let weight = textWeight(policy)
  for (const rule of compileRules(policy)) {
    weight += ruleWeight(rule)
    if (weight > ruleLimits.projectWeight) break
  }
  return weight
}

/** "4 MiB". */
export const sizeText = (weight: number): string =>
  weight < mebibyte ? `${Math.ceil(weight / 1024)} KiB` : `${Math.ceil((weight * 10) / mebibyte) / 10} MiB`
