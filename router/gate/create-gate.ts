import { MatchLimit } from '@/shared/rules/linear'
import type { RouterLog } from '../log'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import { isRuleProblem, ruleProblemHeaders } from '../pages/rule-pages'
import { CompiledPolicies, type CompiledPolicy } from '../rules/compiled-policy'
import { OutsideHosts, type Resolve } from '../rules/outside'
import type { RateLimits } from '../rules/rate-limits'
import { RequestView } from '../rules/request-view'
import { TransportSecurity } from '../rules/response-edits'
import { enter, hstsOf } from './access'
import { errorPagePath, InstancePages, wantsOwnPage } from './error-pages'
import { chainFilters, withEdits } from './filters'
import { after, type Soon } from './flow'
import type {
  Admission,
  AnswerCache,
  AnswerFilter,
  ContentSource,
  FilterSource,
  ForwardPlan,
  Found,
  HeaderEdits,
  LocalAnswer,
  RequestFacts,
  TableGate,
} from './gate'
import { takeLimits } from './limits'
import { challengeAnswer, editAnswer, withStatus } from './local-answers'
import { problemAnswer } from './problem-answer'
import { type GateParts, RequestPipeline, responseEdits } from './request-pipeline'
import { Rewritten } from './rewritten'
import { UntouchedPaths } from './untouched-paths'

export interface GateOptions {
  table: HostTable
  log: RouterLog
  content?: ContentSource | null
  cache?: AnswerCache | null
  compressor?: FilterSource | null
  /** Rate limits synchronized with other workers; default: limits of this worker alone. */
  limits?: RateLimits
  /** Resolves hosts outside the route table; default: the system's resolver. */
  resolve?: Resolve
  /** Monotonic milliseconds; for tests. */
  now?: () => number
}

const challengePrefix = '/.well-known/acme-challenge/'

/**
 * Creates the gate. The order of its stages: ACME challenge, addresses, canonical-host redirect and HTTPS, maintenance, protection, rate
 * limits, spelling of the path, redirects, headers, rewrites before files, files, rewrites, cache, instance.
 */
export function createGate(options: GateOptions): TableGate {
  return new RuleGate(options)
}

class RuleGate implements TableGate {
  readonly #parts: GateParts
  readonly #pages = new InstancePages()
  /** Forward plans of routes without rules: one plan serves all requests of the route. */
  readonly #plans = new WeakMap<LiveRoute, ForwardPlan>()
  readonly #untouched = new UntouchedPaths()
  #challenges: ReadonlyMap<string, string> = new Map()

  constructor({ table, log, content = null, cache = null, compressor = null, limits, resolve, now = () => performance.now() }: GateOptions) {
    const outside = new OutsideHosts(resolve)
    outside.allow(table.outsideHosts)
    const policies = new CompiledPolicies(log, limits)
    this.#parts = { policies, outside, content, cache, compressor, hsts: new TransportSecurity(), rewritten: new Rewritten(), now, table }
  }

  apply(table: HostTable): void {
    this.#parts.table = table
    this.#parts.outside.allow(table.outsideHosts)
  }

  setChallenges(http: Readonly<Record<string, string>>): void {
    this.#challenges = new Map(Object.entries(http))
  }

  close(): void {
    this.#pages.close()
  }

  admit(route: LiveRoute, facts: RequestFacts): Soon<Admission> {
    const challenge = this.#challenge(facts)
    if (challenge !== null) return challenge
    const compiled = this.#parts.policies.get(route.policy)
    const plain = this.#isPlain(route, facts)
    if (compiled.plain && plain) return this.#forward(route, facts, this.#hsts(route, facts))
    const byPath = plain && compiled.byPathAlone
    const edits = byPath ? this.#untouched.get(route, facts) : undefined
    if (edits !== undefined) return this.#forward(route, facts, edits)
    try {
      const admission = this.#decide(route, compiled, new RequestView(facts))
      if (byPath && 'kind' in admission) this.#untouched.note(route, facts, admission)
      return admission instanceof Promise ? admission.catch((error: unknown) => limitReached(error, route)) : admission
    } catch (error) {
      return limitReached(error, route)
    }
  }

  admitUnknown(facts: RequestFacts): Admission {
    return this.#challenge(facts) ?? { kind: 'problem', problem: { kind: 'unknown-host', host: facts.host } }
  }

  problem(problem: Problem, route: LiveRoute | null, facts: RequestFacts): Soon<LocalAnswer> {
    return after(this.#stale(problem, route, facts), (stored) => stored ?? this.#page(problem, route, facts))
  }

  /** A stored answer in place of an unreachable instance's, with the headers that rules add. */
  #stale(problem: Problem, route: LiveRoute | null, facts: RequestFacts): Found {
    const { cache, policies, rewritten, table } = this.#parts
    if (cache === null || route === null || isRuleProblem(problem) || problem.kind === 'bad-request') return null
    const to = rewritten.of(facts) ?? { route, target: null }
    if (to.route === null || !to.route.policy.cache || to.route.policy.protection !== null) return null
    const entry = table.find(facts.host) ?? route
    return after(cache.insteadOfError(to.route, to.target, facts), (stored) => {
      if (stored === null) return null
      const view = new RequestView(facts)
      return editAnswer(stored, responseEdits(this.#parts, policies.get(entry.policy), view, hstsOf(entry, view)))
    })
  }

  #page(problem: Problem, route: LiveRoute | null, facts: RequestFacts): Soon<LocalAnswer> {
    const ours = problemAnswer(problem, facts.requestId, facts.header('accept'), this.#parts.table.dashboardUrl)
    const path = route && errorPagePath(route.policy.errorPages, ours.status)
    if (route === null || path === null || !wantsOwnPage(facts)) return ours
    const { content } = this.#parts
    const file = content !== null && route.content !== undefined ? content.page(route, path, facts) : null
    return after(file, (found) => {
      const page = found ?? this.#pages.get(route, path)
      if (page === null) return ours
      const fields = isRuleProblem(problem) ? ruleProblemHeaders(problem) : ours.headers.filter(([name]) => name === 'Retry-After')
      return withStatus(page, ours, fields)
    })
  }

  // Answers challenges also for hosts without a route, and over HTTPS: a CA follows the redirect of an upstream proxy (RFC 8555 §8.3), and
  // so does the domain doctor.
  #challenge(facts: RequestFacts): Admission | null {
    if (this.#challenges.size === 0 || !facts.path.startsWith(challengePrefix)) return null
    const authorization = this.#challenges.get(facts.path.slice(challengePrefix.length))
    return authorization === undefined ? null : { kind: 'answer', answer: challengeAnswer(authorization) }
  }

  /** Whether the route itself has no settings that affect the request. */
  #isPlain(route: LiveRoute, facts: RequestFacts): boolean {
    if (route.content !== undefined || route.redirectTo !== undefined) return false
    return !route.httpsOnly || this.#parts.table.httpsPort === null || facts.scheme === 'https'
  }

  #hsts(route: LiveRoute, facts: RequestFacts): HeaderEdits | null {
    return route.hstsSeconds !== undefined && facts.scheme === 'https' ? this.#parts.hsts.for(route.hstsSeconds) : null
  }

  #forward(route: LiveRoute, facts: RequestFacts, edits: HeaderEdits | null): Soon<Admission> {
    const cache = route.policy.cache ? this.#parts.cache : null
    const reads = facts.method === 'GET' || facts.method === 'HEAD'
    const stored = cache !== null && reads ? cache.lookup(route, null, facts) : null
    return after(stored, (answer) =>
      answer ? { kind: 'answer', answer: editAnswer(answer, edits) } : this.#filteredPlan(route, facts, cache, reads, edits),
    )
  }

  #filteredPlan(route: LiveRoute, facts: RequestFacts, cache: AnswerCache | null, reads: boolean, edits: HeaderEdits | null): ForwardPlan {
    const conditions = (reads && cache?.conditions(route, null, facts)) || null
    const compressing = reads && route.policy.compression ? (this.#parts.compressor?.filter(route, facts) ?? null) : null
    const filter = chainFilters(withEdits(cache?.filter(route, facts, null) ?? null, edits), compressing)
    if (conditions === null && (filter === null || filter.shared === true)) return this.#constantPlan(route, edits, filter)
    return { ...this.#constantPlan(route, edits, null), filter, requestHeaders: conditions && { remove: [], set: conditions, append: [] } }
  }

  #constantPlan(route: LiveRoute, responseHeaders: HeaderEdits | null, filter: AnswerFilter | null): ForwardPlan {
    const known = this.#plans.get(route)
    if (known !== undefined && known.responseHeaders === responseHeaders && known.filter === filter) return known
    const { maxBodyBytes } = route.policy
    const plan: ForwardPlan = { kind: 'forward', route, outside: null, target: null, requestHeaders: null, filter, responseHeaders, maxBodyBytes }
    this.#plans.set(route, plan)
    return plan
  }

  #decide(route: LiveRoute, compiled: CompiledPolicy, view: RequestView): Soon<Admission> {
    const { table, now } = this.#parts
    if (!route.content) for (const path of compiled.errorPages) this.#pages.refresh(route, path, now())
    const challenged = view.facts.scheme === 'http' && view.facts.path.startsWith(challengePrefix)
    return after(enter(table, route, compiled, view, now(), challenged), (entrance) => {
      if (entrance.kind !== 'pass') return entrance
      const limited = compiled.limits && takeLimits(compiled.limits, route.projectId, view, now())
      if (limited && 'problem' in limited) return { kind: 'problem', problem: limited.problem }
      return new RequestPipeline(this.#parts, route, view, entrance.edits).run(compiled, limited?.fields ?? [])
    })
  }
}

/** Presents a MatchLimit as a problem. @throws every other error */
function limitReached(error: unknown, route: LiveRoute): Admission {
  if (!(error instanceof MatchLimit)) throw error
  const { host, projectName } = route
  return {
    kind: 'problem',
    problem: { kind: 'rule-failed', status: 500, host, projectName, detail: `This request cannot be decided on: ${error.message}.` },
  }
}
