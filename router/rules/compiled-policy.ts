import { createHash } from 'node:crypto'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import { ExpressionProblem } from '@/shared/rules/expression'
import {
  type CompiledHeaders,
  type CompiledRateLimit,
  type CompiledRedirect,
  type CompiledRewrite,
  compileHeaders,
  compileRateLimit,
  compileRedirect,
  compileRewrite,
  type Matcher,
} from '@/shared/rules/rules'
import { ruleLimits, ruleWeight, textWeight } from '@/shared/rules/weight'
import type { RouterLog } from '../log'
import { AddressList } from './addresses'
import { Guard, wrongTries } from './protection'
import type { RateLimit } from './rate-limit'
import { RateLimits } from './rate-limits'
import { ResponseEdits } from './response-edits'
import { RuleIndex } from './rule-index'

export interface LimitedRoute extends CompiledRateLimit {
  readonly buckets: RateLimit
}

/** Rules of a project compiled for the data path. null: the policy has no such rule. */
export interface CompiledPolicy {
  readonly policy: ProjectRules
  /** The policy affects no request. */
  readonly plain: boolean
  /** The policy depends on the path alone, so its result for a path can be cached. */
  readonly byPathAlone: boolean
  readonly addresses: AddressList | null
  readonly maintenance: { message: string | null; except: AddressList | null } | null
  readonly guard: Guard | null
  readonly limits: RuleIndex<LimitedRoute> | null
  readonly spelling: { cleanUrls: boolean; trailingSlash: boolean | null } | null
  readonly redirects: RuleIndex<CompiledRedirect> | null
  readonly headers: ResponseEdits | null
  readonly rewritesBefore: RuleIndex<CompiledRewrite> | null
  readonly redirectsAfter: RuleIndex<CompiledRedirect> | null
  readonly rewritesAfter: RuleIndex<CompiledRewrite> | null
  /** Paths of the project's own error pages. */
  readonly errorPages: readonly string[]
  /** Estimated memory, see `shared/rules/weight.ts`. */
  readonly weight: number
}

/** Maximum weight of all cached policies, equal to that of one table's policies: those of older tables are evicted first. */
const maxKeptWeight = ruleLimits.totalWeight
/** Memory of a policy without its rules, including what it caches about visitors. */
const formWeight = 16 * 1024

/**
 * Caches compiled policies, each compiled at its first request. A policy with unchanged content keeps its compiled form across tables,
 * including its counters and verified credentials.
 */
export class CompiledPolicies {
  readonly #log: RouterLog
  readonly #limits: RateLimits
  readonly #byObject = new WeakMap<ProjectRules, CompiledPolicy>()
  readonly #byContent = new Map<string, CompiledPolicy>()
  #weight = 0

  /** `limits`: rate limits of this worker. Default: not synchronized with other workers. */
  constructor(log: RouterLog, limits = new RateLimits()) {
    this.#log = log
    this.#limits = limits
    this.#byObject.set(defaultProjectRules, this.#compile(defaultProjectRules, 'default'))
  }

  get(policy: ProjectRules): CompiledPolicy {
    return this.#byObject.get(policy) ?? this.#make(policy)
  }

  #make(policy: ProjectRules): CompiledPolicy {
    const key = createHash('sha256').update(JSON.stringify(policy)).digest('base64')
    const known = this.#byContent.get(key)
    const compiled = known ?? this.#compile(policy, key)
    // Move to the end: the least recently used policy is evicted first.
    this.#byContent.delete(key)
    this.#byContent.set(key, compiled)
    if (!known) this.#weight += compiled.weight + formWeight
    this.#forget()
    this.#byObject.set(policy, compiled)
    return compiled
  }

  #compile(policy: ProjectRules, key: string): CompiledPolicy {
    const onProblem: OnProblem = (at, problem) => this.#log.warn({ rule: at, problem }, 'a rule that cannot be understood is left out')
    return compilePolicy(policy, onProblem, (name, requests, windowSeconds) => this.#limits.limit(`${key} ${name}`, requests, windowSeconds))
  }

  /** Evicts the oldest policies, but never the newest. */
  #forget(): void {
    for (const [key, { weight }] of this.#byContent) {
      if (this.#weight <= maxKeptWeight || this.#byContent.size === 1) return
      this.#byContent.delete(key)
      this.#weight -= weight + formWeight
    }
  }
}

type OnProblem = (at: string, problem: string) => void
/** Makes the rate limit with this name within its policy. */
type MakeLimit = (name: string, requests: number, windowSeconds: number) => RateLimit

/** Compiles a policy. An invalid rule is omitted and reported; the other rules still apply. */
export function compilePolicy(policy: ProjectRules, onProblem: OnProblem, limitOf: MakeLimit): CompiledPolicy {
  const each = <R, C>(list: string, rules: readonly R[], compile: (rule: R, index: number) => C): C[] =>
    rules.flatMap((rule, i) => {
      try {
        return [compile(rule, i)]
      } catch (error) {
        if (!(error instanceof ExpressionProblem)) throw error
        onProblem(`${list}.${i}`, error.message)
        return []
      }
    })
  const redirects = each('redirects', policy.redirects, compileRedirect)
  const rewrites = each('rewrites', policy.rewrites, compileRewrite)
  const headers = each<ProjectRules['headers'][number], CompiledHeaders>('headers', policy.headers, compileHeaders)
  const limits = each('rateLimits', policy.rateLimits, (rule, i) => ({
    ...compileRateLimit(rule),
    buckets: limitOf(`rule ${i}`, rule.requests, rule.windowSeconds),
  }))
  const { maintenance, protection, cleanUrls, trailingSlash } = policy
  const parts = {
    addresses: addressList(policy.allowedAddresses, 'allowedAddresses', onProblem),
    maintenance: maintenance && {
      message: maintenance.message,
      except: addressList(maintenance.allowedAddresses, 'maintenance.allowedAddresses', onProblem),
    },
    guard: protection && new Guard(protection, limitOf('wrong tries', wrongTries.requests, wrongTries.windowSeconds)),
    limits: indexOf(limits),
    spelling: cleanUrls || trailingSlash !== null ? { cleanUrls, trailingSlash } : null,
    redirects: indexOf(redirects.filter((rule) => !rule.afterFiles)),
    headers: headers.length > 0 ? new ResponseEdits(new RuleIndex(headers)) : null,
    rewritesBefore: indexOf(rewrites.filter((rule) => rule.beforeFiles)),
    redirectsAfter: indexOf(redirects.filter((rule) => rule.afterFiles)),
    rewritesAfter: indexOf(rewrites.filter((rule) => !rule.beforeFiles)),
  }
  const errorPages = [...new Set(Object.values(policy.errorPages))]
  const plain = errorPages.length === 0 && Object.values(parts).every((part) => part === null)
  const unconditional = [...redirects, ...rewrites, ...headers].every((rule) => rule.conditions === null)
  const { addresses, guard, limits: limited } = parts
  const forEverybody = addresses === null && parts.maintenance === null && guard === null && limited === null
  const weight = [...redirects, ...rewrites, ...headers, ...limits].reduce((sum, rule) => sum + ruleWeight(rule), textWeight(policy))
  return { policy, plain, byPathAlone: unconditional && forEverybody && errorPages.length === 0, errorPages, weight, ...parts }
}

function indexOf<R extends Matcher>(rules: R[]): RuleIndex<R> | null {
  return rules.length > 0 ? new RuleIndex(rules) : null
}

function addressList(entries: string[], at: string, onProblem: (at: string, problem: string) => void): AddressList | null {
  if (entries.length === 0) return null
  const list = new AddressList(entries)
  for (const entry of list.problems) onProblem(at, `"${entry}" is no address`)
  return list
}
