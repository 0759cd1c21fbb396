/** Scripted services for testing an engine: they follow a script and record all calls. */
import type { Admission, AnswerFilter, ForwardPlan, Gate, LocalAnswer, RequestFacts } from '../../gate/gate'
import { problemAnswer } from '../../gate/problem-answer'
import type { LiveRoute } from '../../match/host-table'
import type { FinishedRequest, Observer } from '../../observe/observer'
import type { Problem } from '../../pages/pages'
import type { Lease, Outcome, TargetAsk, Targets } from '../../targets/targets'
import { InFlight, pickTarget } from './doubles'

/** A forward plan with changes in `parts`. */
export const plan = (route: LiveRoute, parts: Partial<ForwardPlan> = {}): ForwardPlan => ({
  kind: 'forward',
  route,
  outside: null,
  target: null,
  requestHeaders: null,
  responseHeaders: null,
  filter: null,
  maxBodyBytes: null,
  ...parts,
})

/** A response of the gate. */
export function localAnswer(status: number, body: string, headers: [string, string][] = [], parts: Partial<LocalAnswer> = {}): LocalAnswer {
  const bytes = Buffer.from(body)
  return { status, headers: [...headers, ['Content-Length', String(bytes.length)]], body: bytes, cache: 'none', why: 'rule', ...parts }
}

type Admit = (route: LiveRoute, facts: RequestFacts) => Admission | Promise<Admission>

export class ScriptedGate implements Gate {
  readonly seen: RequestFacts[] = []
  readonly problems: Problem[] = []
  readonly #admit: Admit
  readonly #unknown: (facts: RequestFacts) => Admission | Promise<Admission>

  constructor(admit: Admit = (route) => plan(route), unknown?: (facts: RequestFacts) => Admission | Promise<Admission>) {
    this.#admit = admit
    this.#unknown = unknown ?? ((facts) => ({ kind: 'problem', problem: { kind: 'unknown-host', host: facts.host } }))
  }

  admit(route: LiveRoute, facts: RequestFacts) {
    this.seen.push(facts)
    return this.#admit(route, facts)
  }

  admitUnknown(facts: RequestFacts) {
    this.seen.push(facts)
    return this.#unknown(facts)
  }

  /** Every second page is asynchronous, like a page read from disk. */
  problem(problem: Problem, route: LiveRoute | null, facts: RequestFacts): LocalAnswer | Promise<LocalAnswer> {
    this.problems.push(problem)
    const answer = problemAnswer(problem, facts.requestId, facts.header('accept'), '')
    answer.headers.push(['X-Page-Of', route?.host ?? 'nobody'])
    return this.problems.length % 2 ? answer : new Promise((resolve) => setTimeout(() => resolve(answer), 5))
  }
}

/** Records the end of every request. */
export class CountingObserver implements Observer {
  readonly ends: (Omit<FinishedRequest, 'describe'> & { words: ReturnType<FinishedRequest['describe']> })[] = []

  // Copy the fields: the engine may reuse the object.
  end(request: FinishedRequest): void {
    const { route, instanceId, status, durationMs, upstreamMs, bytesIn, bytesOut, cache, reason } = request
    this.ends.push({ route, instanceId, status, durationMs, upstreamMs, bytesIn, bytesOut, cache, reason, words: request.describe() })
  }

  async close(): Promise<void> {}
}

/** Picks the least loaded target and records each lease; `hold` makes requests wait until `let` is called. */
export class RecordingTargets implements Targets {
  readonly asks: TargetAsk[] = []
  /** Outcomes in order; a lease that ends twice appears twice. */
  readonly outcomes: Outcome[] = []
  readonly waiting: { let: () => void; signal: AbortSignal | undefined }[] = []
  leases = 0
  hold = false
  setCookie: string | null = null
  problem: Problem | null = null
  readonly #counts = new InFlight()

  acquire(route: LiveRoute, ask: TargetAsk): Lease | Problem | Promise<Lease | Problem> {
    this.asks.push(ask)
    if (!this.hold) return this.#lease(route, ask)
    return new Promise((resolve) => this.waiting.push({ let: () => resolve(this.#lease(route, ask)), signal: ask.signal }))
  }

  #lease(route: LiveRoute, ask: TargetAsk): Lease | Problem {
    const target = pickTarget(route, this.#counts, ask.avoid ?? undefined)
    if (this.problem || !target) return this.problem ?? { kind: 'no-target', host: route.host, projectName: route.projectName }
    this.leases++
    const release = this.#counts.acquire(target.instanceId)
    const done = (outcome: Outcome) => {
      this.outcomes.push(outcome)
      release()
    }
    return { target, setCookie: this.setCookie, done }
  }

  apply(): void {}

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return this.#counts.pick(instanceIds)
  }

  close(): void {}
}

/** A filter with the given `onHead`, like the cache or compression; records whether it was aborted. */
export function scriptedFilter(onHead: AnswerFilter['onHead']): AnswerFilter & { aborted: number; heads: [string, string][][] } {
  const filter = {
    aborted: 0,
    heads: [] as [string, string][][],
    cache: 'miss' as const,
    onHead(status: number, headers: [string, string][]) {
      filter.heads.push(headers)
      return onHead(status, headers)
    },
    abort: () => {
      filter.aborted++
    },
  }
  return filter
}
