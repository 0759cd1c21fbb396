import { matchRule } from '@/shared/rules/rules'
import type { Problem } from '../pages/pages'
import { visitorOf } from '../rules/addresses'
import type { LimitedRoute } from '../rules/compiled-policy'
import { pathReadings } from '../rules/path-readings'
import type { LimitState } from '../rules/rate-limit'
import type { RequestView } from '../rules/request-view'
import type { RuleIndex } from '../rules/rule-index'

/** Rate-limit fields for the answer (draft-ietf-httpapi-ratelimit-headers-07), or the refusal; null: no limit applies. */
export type Limited = { fields: [string, string][] } | { problem: Problem } | null

/** Counts the request against every limit that matches any reading of its path. Returns header fields about the tightest one. `now` in ms. */
export function takeLimits(limits: RuleIndex<LimitedRoute>, projectId: string, view: RequestView, now: number): Limited {
  const key = `${projectId} ${visitorOf(view.facts.clientIp)}`
  const taken = new Set<LimitedRoute>()
  let tightest: LimitState | null = null
  for (const path of pathReadings(view.facts.path))
    for (const { rule } of limits.candidates(path)) {
      if (taken.has(rule) || matchRule(rule, path, view, view.budget) === null) continue
      taken.add(rule)
      const state = rule.buckets.take(key, now)
      if (tightest === null || isTighter(state, tightest)) tightest = state
    }
  if (tightest === null) return null
  const { limit, windowSeconds, remaining, retryAfterSeconds, resetSeconds } = tightest
  if (retryAfterSeconds > 0) return { problem: { kind: 'rate-limited', host: view.host, limit, windowSeconds, retryAfterSeconds } }
  return {
    fields: [
      ['RateLimit-Limit', String(limit)],
      ['RateLimit-Remaining', String(remaining)],
      ['RateLimit-Reset', String(resetSeconds)],
    ],
  }
}

const isTighter = (a: LimitState, b: LimitState): boolean =>
  a.retryAfterSeconds > b.retryAfterSeconds || (b.retryAfterSeconds === 0 && a.remaining < b.remaining)
