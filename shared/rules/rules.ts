import type { HeaderRule, ProjectRules, RateLimitRule, RedirectRule, RewriteRule } from '../project-rules'
import { type ConditionFacts, type Conditions, compileConditions } from './conditions'
import { compileDestination, type Destination } from './destination'
import { ExpressionProblem } from './expression'
import type { StepBudget } from './linear'
import { compilePattern, type PathPattern, type PatternOptions } from './pattern'
import { checkResponseHeader } from './response-headers'
import { compileTemplate, type Template } from './template'

type Matching = Pick<RedirectRule, 'source' | 'has' | 'missing'>

/** Compiled `source`, `has` and `missing` of a rule. */
export interface Matcher {
  readonly pattern: PathPattern
  readonly conditions: Conditions | null
  /** All names that the destination may use. */
  readonly known: ReadonlySet<string>
}

export interface CompiledRedirect extends Matcher {
  readonly destination: Destination
  readonly status: RedirectRule['status']
  readonly afterFiles: boolean
}
export interface CompiledRewrite extends Matcher {
  readonly destination: Destination
  readonly beforeFiles: boolean
}
export interface CompiledHeaders extends Matcher {
  readonly headers: { key: string; value: Template }[]
}
export interface CompiledRateLimit extends Matcher {
  readonly requests: number
  readonly windowSeconds: number
}

/** @throws ExpressionProblem */
export function compileMatcher(rule: Matching, options?: PatternOptions): Matcher {
  const pattern = compilePattern(rule.source, options)
  const conditions = compileConditions(rule.has, rule.missing)
  const known = new Set([...pattern.names, ...(conditions?.names ?? [])])
  for (let i = 1; i <= pattern.names.length; i += 1) known.add(`$${i}`)
  return { pattern, conditions, known }
}

/** Matches a request; returns the captured values; null: the rule does not apply. @throws MatchLimit */
export function matchRule(rule: Matcher, path: string, facts: ConditionFacts, budget: StepBudget): ReadonlyMap<string, string> | null {
  const values = rule.pattern.match(path, budget)
  if (values === null) return null
  if (rule.known.size === 0 && rule.conditions === null) return nothing
  const captures = new Map<string, string>()
  for (const [i, value] of values.entries()) {
    captures.set(rule.pattern.names[i] as string, value)
    captures.set(`$${i + 1}`, value)
  }
  return rule.conditions === null || rule.conditions.hold(facts, captures, budget) ? captures : null
}
const nothing: ReadonlyMap<string, string> = new Map()

/** @throws ExpressionProblem */
export function compileRedirect(rule: RedirectRule): CompiledRedirect {
  const matcher = compileMatcher(rule)
  const destination = compileDestination(rule.destination, matcher.known)
  if (destination.kind === 'project') throw new ExpressionProblem('a redirect leads to a path or an address; project: is for rewrites')
  return { ...matcher, destination, status: rule.status, afterFiles: rule.afterFiles === true }
}

/** @throws ExpressionProblem */
export function compileRewrite(rule: RewriteRule): CompiledRewrite {
  const matcher = compileMatcher(rule)
  return { ...matcher, destination: compileDestination(rule.destination, matcher.known), beforeFiles: rule.beforeFiles === true }
}

/** @throws ExpressionProblem */
export function compileHeaders(rule: HeaderRule): CompiledHeaders {
  const matcher = compileMatcher(rule)
  const headers = rule.headers.map(({ key, value }) => {
    checkResponseHeader(key, value)
    return { key, value: compileTemplate(value, matcher.known, 'plain') }
  })
  return { ...matcher, headers }
}

/** Compiles a rate limit. Case and a trailing slash are ignored, because many apps ignore them too. @throws ExpressionProblem */
export function compileRateLimit(rule: RateLimitRule): CompiledRateLimit {
  const source = /[^\\/]\/$/.test(rule.source) ? rule.source.slice(0, -1) : rule.source
  return { ...compileMatcher({ ...rule, source }, { foldCase: true }), requests: rule.requests, windowSeconds: rule.windowSeconds }
}

export interface RuleProblem {
  /** Place of the rule, such as `redirects.3`. */
  at: string
  message: string
}

type RuleLists = Partial<Pick<ProjectRules, 'redirects' | 'rewrites' | 'headers' | 'rateLimits'>>

/** Compiles all valid rules lazily; skips invalid rules. */
export function* compileRules(policy: RuleLists): IterableIterator<Matcher> {
  yield* usable(policy.redirects, compileRedirect)
  yield* usable(policy.rewrites, compileRewrite)
  yield* usable(policy.headers, compileHeaders)
  yield* usable(policy.rateLimits, compileRateLimit)
}

function* usable<R>(rules: readonly R[] | undefined, compile: (rule: R) => Matcher): IterableIterator<Matcher> {
  for (const rule of rules ?? []) {
    try {
      yield compile(rule)
    } catch (error) {
      if (!(error instanceof ExpressionProblem)) throw error
    }
  }
}

/** All rules that do not compile, with the reasons, for display before they are stored. */
export function findRuleProblems(policy: RuleLists): RuleProblem[] {
  const check = <R>(list: string, rules: R[] | undefined, compile: (rule: R) => unknown): RuleProblem[] =>
    (rules ?? []).flatMap((rule, i) => {
      try {
        compile(rule)
        return []
      } catch (error) {
        if (error instanceof ExpressionProblem) return [{ at: `${list}.${i}`, message: error.message }]
        throw error
      }
    })
  return [
    ...check('redirects', policy.redirects, compileRedirect),
    ...check('rewrites', policy.rewrites, compileRewrite),
    ...check('headers', policy.headers, compileHeaders),
    ...check('rateLimits', policy.rateLimits, compileRateLimit),
  ]
}
