import { decodeQuery, type Rendered } from '@/shared/rules/destination'
import { type CompiledRedirect, type CompiledRewrite, matchRule } from '@/shared/rules/rules'
import { decodePath } from '@/shared/rules/template'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import type { CompiledPolicies, CompiledPolicy } from '../rules/compiled-policy'
import { loopField } from '../rules/loops'
import type { OutsideHosts } from '../rules/outside'
import type { RequestView } from '../rules/request-view'
import { joinEdits, type TransportSecurity } from '../rules/response-edits'
import type { RuleIndex } from '../rules/rule-index'
import { properSpelling } from '../rules/spelling'
import { admitVisitor, hstsOf } from './access'
import { chainFilters, withEdits } from './filters'
import { after, type Soon } from './flow'
import type { Admission, AnswerCache, ContentSource, FilterSource, HeaderEdits, LocalAnswer, OutsideTarget } from './gate'
import { asPrivate, editAnswer, redirectAnswer } from './local-answers'
import type { Rewritten } from './rewritten'

/** Files with rules lie among the files of a site but are never served: they name hosts and paths that are not public. */
const unpublished = new Set(['/_redirects', '/_headers', '/vercel.json', '/switchyard.json'])

/** State shared by all requests of a worker. */
export interface GateParts {
  readonly policies: CompiledPolicies
  readonly outside: OutsideHosts
  readonly content: ContentSource | null
  readonly cache: AnswerCache | null
  readonly compressor: FilterSource | null
  readonly hsts: TransportSecurity
  readonly rewritten: Rewritten
  readonly now: () => number
  /** The current route table. */
  table: HostTable
}

/** The pipeline of one request: redirects, headers, rewrites, files, cache, instance. */
export class RequestPipeline {
  readonly #parts: GateParts
  readonly #view: RequestView
  #route: LiveRoute
  /** Decoded path after rewrites. */
  #path: string
  /** Path as sent or rewritten, percent-encoded. */
  #sent: string
  /** Path and query after a rewrite; null: not rewritten. */
  #target: string | null = null
  #outside: OutsideTarget | null = null
  /** A rewrite led to another project: its files and instances answer, and no further rule of the first project applies. */
  #elsewhere = false
  #requestEdits: HeaderEdits | null
  #responseEdits: HeaderEdits | null = null
  /** The instance's answers depend on the visitor's access: they are not stored for others. */
  #private: boolean

  constructor(parts: GateParts, route: LiveRoute, view: RequestView, requestEdits: HeaderEdits | null) {
    this.#parts = parts
    this.#route = route
    this.#view = view
    this.#path = view.path
    this.#sent = view.facts.path
    this.#requestEdits = requestEdits
    this.#private = requestEdits !== null
  }

  /** Runs the pipeline. `limitFields`: header fields about rate limits for the answer. */
  run(compiled: CompiledPolicy, limitFields: [string, string][]): Soon<Admission> {
    const { facts } = this.#view
    const hsts = hstsOf(this.#route, this.#view)
    if (facts.path === '*') return this.#finish()
    const spelling = compiled.spelling && properSpelling(facts.path, compiled.spelling)
    if (spelling !== null) return { kind: 'answer', answer: redirectAnswer(308, `${spelling}${facts.query}`, 'spelling', hsts) }
    const moved = this.#redirect(compiled.redirects, hsts)
    if (moved !== null) return moved
    const edits = responseEdits(this.#parts, compiled, this.#view, hsts)
    this.#responseEdits = limitFields.length > 0 ? joinEdits(edits, { remove: [], set: limitFields, append: [] }) : edits
    return after(this.#rewrite(compiled.rewritesBefore), (ended) => ended ?? this.#files(compiled, hsts))
  }

  #files(compiled: CompiledPolicy, hsts: number | null): Soon<Admission> {
    if (this.#outside !== null) return this.#finish()
    return after(this.#file(), (file) => {
      if (file !== null) return this.#answer(file)
      if (this.#elsewhere) return this.#finish()
      const moved = this.#redirect(compiled.redirectsAfter, hsts)
      if (moved !== null) return moved
      const before = this.#target
      return after(this.#rewrite(compiled.rewritesAfter), (ended) => {
        if (ended !== null) return ended
        if (this.#target === before || this.#outside !== null) return this.#finish()
        return after(this.#file(), (rewritten) => (rewritten ? this.#answer(rewritten) : this.#finish()))
      })
    })
  }

  #redirect(rules: RuleIndex<CompiledRedirect> | null, hsts: number | null): Admission | null {
    if (rules === null) return null
    for (const { rule } of rules.candidates(this.#path)) {
      const captures = matchRule(rule, this.#path, this.#view, this.#view.budget)
      const to = captures && rule.destination.render(captures, this.#view.facts.query)
      if (to) return { kind: 'answer', answer: redirectAnswer(rule.status, addressOf(to), 'redirect', hsts) }
    }
    return null
  }

  /** Applies the first matching rewrite. null: continue with the possibly changed request. */
  #rewrite(rules: RuleIndex<CompiledRewrite> | null): Soon<Admission | null> {
    if (rules === null) return null
    for (const { rule } of rules.candidates(this.#path)) {
      const captures = matchRule(rule, this.#path, this.#view, this.#view.budget)
      const to = captures && rule.destination.render(captures, this.#view.facts.query)
      if (!to) continue
      const query = rule.destination.usesParameters ? to.query : withParameters(to.query, captures)
      this.#sent = to.path
      this.#path = decodePath(to.path)
      this.#target = `${to.path}${query}`
      if (rule.destination.kind === 'project') return this.#enterProject(to.authority)
      return rule.destination.kind === 'absolute' ? this.#leave(to) : null
    }
    return null
  }

  /** Another project of the same team. Its own access rules are checked, too. */
  #enterProject(host: string): Soon<Admission | null> {
    const route = this.#parts.table.find(host)
    if (!route || route.teamId !== this.#route.teamId) return this.#fail(502, `A rewrite leads to a project that is not there: ${host}.`)
    const compiled = this.#parts.policies.get(route.policy)
    if (compiled.addresses !== null && !compiled.addresses.has(this.#view.facts.clientIp))
      return { kind: 'problem', problem: { kind: 'forbidden', host: this.#view.host } }
    return after(admitVisitor(route, compiled, this.#view, this.#parts.now()), (entrance) => {
      if (entrance.kind !== 'pass') return entrance
      this.#requestEdits = joinEdits(this.#requestEdits, entrance.edits)
      this.#private ||= entrance.edits !== null
      this.#route = route
      this.#elsewhere = true
      return null
    })
  }

  async #leave(to: Rendered): Promise<Admission | null> {
    const loop = loopField(this.#view.facts.header('cdn-loop'))
    if (loop === null) return this.#fail(502, `A rewrite leads to ${to.authority}, and from there back here without an end.`)
    const found = await this.#parts.outside.find(to.scheme, to.authority, this.#parts.now())
    if ('problem' in found) return this.#fail(502, found.problem)
    this.#outside = found.target
    this.#requestEdits = joinEdits(this.#requestEdits, { remove: [], set: [['CDN-Loop', loop]], append: [] })
    return null
  }

  #fail(status: 500 | 502, detail: string): Admission {
    return { kind: 'problem', problem: { kind: 'rule-failed', status, host: this.#view.host, projectName: this.#route.projectName, detail } }
  }

  #reads(): boolean {
    const { method } = this.#view.facts
    return method === 'GET' || method === 'HEAD'
  }

  #file(): Soon<LocalAnswer | null> {
    const { content } = this.#parts
    if (content === null || this.#route.content === undefined || !this.#reads() || unpublished.has(this.#path)) return null
    return content.find(this.#route, this.#sent, this.#view.facts)
  }

  #answer(answer: LocalAnswer): Admission {
    return { kind: 'answer', answer: editAnswer(this.#private ? asPrivate(answer) : answer, this.#responseEdits) }
  }

  /** The last stage, for requests that no rule and no file answered. */
  #finish(): Soon<Admission> {
    const { content } = this.#parts
    const { targets, state } = this.#route
    const filesAlone = content !== null && this.#route.content !== undefined && this.#outside === null && targets.length === 0 && state === 'live'
    if (!filesAlone) return this.throughCache()
    const problem: Problem = this.#reads() ? { kind: 'no-file', host: this.#view.host } : { kind: 'read-only', host: this.#view.host }
    const answer = this.#reads() ? content.fallback(this.#route, this.#view.facts) : null
    return after(answer, (found) => (found ? this.#answer(found) : { kind: 'problem', problem }))
  }

  /** A stored answer, else the instance. */
  throughCache(): Soon<Admission> {
    const { cache } = this.#parts
    const { policy } = this.#route
    const shared = cache !== null && policy.cache && this.#outside === null && !this.#private
    if (!shared) return this.#plan(null)
    if (!this.#reads()) return this.#plan(cache)
    return after(cache.lookup(this.#route, this.#target, this.#view.facts), (stored) => (stored ? this.#answer(stored) : this.#plan(cache)))
  }

  #plan(cache: AnswerCache | null): Admission {
    const { facts } = this.#view
    const { compressor, rewritten } = this.#parts
    if (this.#target !== null && this.#reads()) rewritten.note(facts, { route: cache === null ? null : this.#route, target: this.#target })
    const conditions = (this.#reads() && cache?.conditions(this.#route, this.#target, facts)) || null
    const storing = withEdits(cache?.filter(this.#route, facts, this.#target) ?? null, this.#responseEdits)
    const compressing = this.#route.policy.compression && compressor !== null && this.#reads() ? compressor.filter(this.#route, facts) : null
    return {
      kind: 'forward',
      route: this.#route,
      outside: this.#outside,
      target: this.#target,
      requestHeaders: conditions === null ? this.#requestEdits : joinEdits(this.#requestEdits, { remove: [], set: conditions, append: [] }),
      responseHeaders: this.#responseEdits,
      filter: chainFilters(storing, compressing),
      maxBodyBytes: this.#route.policy.maxBodyBytes,
    }
  }
}

/** What header rules and HSTS add to every answer to this request. */
export function responseEdits(parts: GateParts, compiled: CompiledPolicy, view: RequestView, hsts: number | null): HeaderEdits | null {
  if (compiled.headers !== null) return compiled.headers.for(view, view.path, hsts)
  return hsts === null ? null : parts.hsts.for(hsts)
}

const addressOf = ({ scheme, authority, path, query, hash }: Rendered): string =>
  `${authority === '' ? '' : `${scheme}://${authority}`}${path}${query}${hash}`

/** vercel.json: parameters that a rewrite does not use go into its query. */
function withParameters(query: string, captures: ReadonlyMap<string, string>): string {
  const present = new Set(
    query
      .slice(1)
      .split('&')
      .map((pair) => decodeQuery(pair.split('=', 1)[0] ?? '')),
  )
  const pairs = [...captures].filter(([name, value]) => /^[A-Za-z_]/.test(name) && value !== '' && !present.has(name))
  if (pairs.length === 0) return query
  const added = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join('&')
  return query === '' ? `?${added}` : `${query}&${added}`
}
