import type { Admission, ForwardPlan, LocalAnswer } from '../gate/gate'
import { problemAnswer } from '../gate/problem-answer'
import type { LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import { isLease, type Lease, type Outcome, type TargetAsk, type Targets } from '../targets/targets'
import type { Front } from './downstream'
import type { ExchangeHost } from './exchange-host'
import { FilteredAnswer } from './filtered-answer'
import type { AnswerHead } from './http1/parse/answer-head'
import type { Tunnel } from './tunnels'
import type { AnswerSink, UpstreamConnection } from './upstream/connection'
import { faultOf, internalProblem, sentNothing, silenceLimitMs, type UpstreamFault, upstreamProblem } from './upstream/faults'
import { abandon, UpstreamSide, unwanted } from './upstream/request'
import { mayRetry, routeOfRetry } from './upstream/retry'
import { FrameBoundary, restartFrame } from './websocket-frames'

/**
 * The way of one request, the same for every protocol towards clients: gate, target, instance, answer, log. The client sees exactly one
 * of: the instance's answer, an answer of ours, or, once an answer has begun and cannot be finished, a broken connection or stream.
 * An exchange may be used for one request after the other.
 */
export class Exchange extends UpstreamSide implements AnswerSink, TargetAsk, Tunnel {
  /** As the ask of a first attempt. */
  readonly avoid = null
  readonly #host: ExchangeHost
  #forwarded = false
  #filtered: FilteredAnswer | null = null
  /** Sent once the instance's bodiless answer is over. */
  #deferred: LocalAnswer | null = null
  /** What the client gets is the instance's answer, filtered or not. */
  #passed = false
  /** Where the instance is in its WebSocket's frames; null: no WebSocket. */
  #frames: FrameBoundary | null = null
  /** The client is to be told to connect again: once a frame is whole, or was told. */
  #restart: 'no' | 'due' | 'told' = 'no'

  constructor(host: ExchangeHost, front: Front) {
    super(front)
    this.#host = host
  }

  /** Whether the instance's answer is on its way to the client. */
  get answering(): boolean {
    return this.status !== 0
  }

  /** Begins with a request that is well-formed; `route` is what the table has for its host. */
  start(route: LiveRoute | null) {
    this.#begin(route)
    const { gate } = this.#host
    const { facts } = this.front
    let admission: Admission | Promise<Admission>
    try {
      admission = route === null ? gate.admitUnknown(facts) : gate.admit(route, facts)
    } catch (error) {
      return this.broken(error)
    }
    if (admission instanceof Promise) this.later(admission, (value) => this.#admitted(value), unwanted)
    else this.#admitted(admission)
  }

  /** Answers a head that breaks the rules: no gate is asked. */
  refuse(problem: Problem): void {
    this.#begin(null)
    const { facts } = this.front
    this.#local(problemAnswer(problem, facts.requestId, facts.header('accept'), this.#host.table.dashboardUrl))
  }

  /** Answers what concerns the router itself. */
  answerOwn(answer: LocalAnswer): void {
    this.#begin(null)
    this.#local(answer)
  }

  #begin(route: LiveRoute | null): void {
    this.beginTurn()
    this.forget(route)
    this.attempts = 0
    this.#forwarded = false
    this.bodySize = 0
    this.#passed = false
  }

  // A decision that threw is a fault of ours, and one request's alone.
  protected broken(error: unknown): void {
    this.#host.log.error({ ...this.words(), err: error }, 'a request could not be decided')
    const { facts } = this.front
    this.#local(problemAnswer(internalProblem, facts.requestId, facts.header('accept'), this.#host.table.dashboardUrl))
  }

  #admitted(admission: Admission): void {
    if (admission.kind === 'forward') this.#forward(admission)
    else if (admission.kind === 'answer') this.#local(admission.answer)
    else this.#problem(admission.problem)
  }

  #problem(problem: Problem) {
    const { facts } = this.front
    let answer: LocalAnswer | Promise<LocalAnswer>
    try {
      answer = this.#host.gate.problem(problem, this.route, facts)
    } catch (error) {
      return this.broken(error)
    }
    this.reason = problem.kind
    if (answer instanceof Promise) this.later(answer, (value) => this.#local(value))
    else this.#local(answer)
  }

  #local(answer: LocalAnswer): void {
    this.#filtered?.abort()
    this.status = answer.status
    this.cache = answer.cache
    this.reason = answer.why
    this.#passed = false
    this.front.answer(answer)
  }

  /** An answer of ours was written to its end. */
  localDone(): void {
    this.#filtered?.finished()
    this.dropUpstream({ kind: 'answered', status: this.status, headMs: this.upstreamMs ?? 0 })
    this.#finish()
  }

  #forward(plan: ForwardPlan) {
    const front = this.front
    this.plan = plan
    this.#filtered = plan.filter === null || plan.filter.shared === true ? null : new FilteredAnswer(plan.filter)
    this.route = plan.route
    if (plan.maxBodyBytes !== null && front.body === 'length' && front.contentLength > plan.maxBodyBytes) return this.tooLarge(plan.maxBodyBytes)
    const held = front.untilWorthAsking()
    if (held === null) this.#acquire(plan)
    else this.later(held, () => this.#acquire(plan))
  }

  #acquire(plan: ForwardPlan) {
    if (plan.outside !== null) return this.#send(null, this.#host.pools.outside(plan.outside).take(this.attempts > 0))
    this.#ask(plan.route, this)
  }

  #ask(route: LiveRoute, ask: TargetAsk) {
    let lease: ReturnType<Targets['acquire']>
    try {
      lease = this.#host.targets.acquire(route, ask)
    } catch (error) {
      return this.broken(error)
    }
    if (lease instanceof Promise) this.later(lease, (value) => this.#acquired(value), abandon)
    else this.#acquired(lease)
  }

  #acquired(lease: Lease | Problem) {
    if (!isLease(lease)) return this.#problem(lease)
    const fresh = this.attempts > 0 || this.front.wantsUpgrade
    this.#send(lease, this.#host.pools.of(lease.target).take(fresh))
  }

  #send(lease: Lease | null, upstream: UpstreamConnection): void {
    const front = this.front
    this.lease = lease
    this.instanceId = lease?.target.instanceId ?? null
    this.upstream = upstream
    this.sentAt = this.attempts++ === 0 && !this.waited ? this.begunAt : performance.now()
    const { out } = upstream
    const plan = this.plan as ForwardPlan
    const silenceMs = silenceLimitMs(plan, this.#host.limits)
    upstream.begin(this, { head: front.facts.method === 'HEAD', upgrade: front.wantsUpgrade, silenceMs })
    const again = this.sentHead !== null
    if (this.sentHead === null) front.writeHead(out, plan)
    if (front.body === 'none') {
      const head = this.sentHead ?? out.seal()
      this.keepHead(head)
      upstream.requestEnded()
      out.write(head)
    } else this.keepHead(out.view())
    if (!again && !this.#forwarded) {
      this.#forwarded = true
      front.onForwarding()
    }
  }

  protected tooLarge(most: number) {
    if (this.answering) return this.#breakOff()
    this.dropUpstream({ kind: 'client-left' })
    this.#problem({ kind: 'bad-request', status: 413, detail: `The body of the request is larger than the ${most} bytes this project takes.` })
  }

  onInformation(head: AnswerHead): void {
    if (head.status === 103) this.front.onInformation(head)
  }

  onHead(head: AnswerHead): void {
    this.status = head.status
    this.upstreamMs = performance.now() - this.sentAt
    this.#passed = true
    const plan = this.plan as ForwardPlan
    const setCookie = this.lease?.setCookie ?? null
    const { filter } = plan
    if (filter !== null && filter.shared === true && (filter.wants?.(head.status, head.read, head.contentLength) ?? true))
      this.#filtered = new FilteredAnswer(filter)
    if (this.#filtered === null || !this.#filter(this.#filtered, head, setCookie)) this.front.onHead(head, plan.responseHeaders, setCookie)
  }

  #filter(filtered: FilteredAnswer, head: AnswerHead, setCookie: string | null): boolean {
    const headMs = this.upstreamMs ?? 0
    let verdict: ReturnType<FilteredAnswer['onHead']>
    try {
      verdict = filtered.onHead(head, this.front.facts.method === 'HEAD', this.plan?.responseHeaders ?? null, setCookie)
    } catch (error) {
      this.dropUpstream({ kind: 'answered', status: head.status, headMs })
      this.broken(error)
      return true
    }
    if (verdict === null) return false
    if (verdict.kind === 'replace') {
      this.dropUpstream({ kind: 'answered', status: head.status, headMs })
      this.#local(verdict.answer)
      return true
    }
    this.status = verdict.answer.status
    if (verdict.kind === 'bodiless') this.#deferred = verdict.answer
    else this.#stream(filtered, verdict.answer)
    return true
  }

  #stream(filtered: FilteredAnswer, answer: LocalAnswer): void {
    const onBroken = this.duringThis(() => this.#breakOff())
    const open = () => filtered.open(() => this.resumeAnswer(), onBroken)
    this.front.answer({ ...answer, body: { length: null, open } })
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (this.#frames !== null) this.#tunnelBody(this.#frames, bytes, start, end)
    else if (this.#filtered === null || !this.#filtered.streams) this.front.onBody(bytes, start, end)
    else if (!this.#filtered.write(bytes, start, end)) this.pauseAnswer()
  }

  onTrailers(trailers: [string, string][]): void {
    if (this.#filtered === null || !this.#filtered.streams) this.front.onTrailers(trailers)
  }

  onFlush(): void {
    if (this.status !== 0 && (this.#filtered === null || !this.#filtered.streams)) this.front.onFlush()
  }

  onEnd() {
    this.upstream = null
    this.release({ kind: 'answered', status: this.status, headMs: this.upstreamMs ?? 0 })
    if (this.#deferred !== null || this.#filtered?.streams) {
      // The connection may carry the next request before this one's answer is through: what was asked must not lie in its memory.
      this.settle()
      if (this.#deferred !== null) return this.front.answer(this.#deferred)
      return this.#filtered?.end()
    }
    this.#filtered?.finished()
    this.#finish()
    this.front.onEnd()
  }

  onSwitch(head: AnswerHead): void {
    this.status = 101
    this.upstreamMs = performance.now() - this.sentAt
    this.#frames = new FrameBoundary()
    this.#restart = 'no'
    this.#host.tunnels.add(this)
    this.front.onSwitch(head, this.plan?.responseHeaders ?? null, this.lease?.setCookie ?? null)
  }

  #tunnelBody(frames: FrameBoundary, bytes: Buffer, start: number, end: number): void {
    if (this.#restart === 'told') return
    const after = frames.take(bytes, start, end, this.#restart === 'due')
    this.front.onBody(bytes, start, after)
    if (this.#restart === 'due' && frames.between) this.#tellRestart()
  }

  sayRestart(): void {
    if (this.#frames === null || this.#restart !== 'no') return
    this.#restart = 'due'
    if (this.#frames.between) this.#tellRestart()
  }

  // The client's answer, a close frame too, still goes to the instance.
  #tellRestart(): void {
    this.#restart = 'told'
    this.front.onBody(restartFrame, 0, restartFrame.length)
    this.front.onTunnelEnd()
    this.resumeAnswer()
  }

  /** The 101 is not to be believed, and nothing of it was told. */
  switchRefused(): void {
    this.#host.log.warn(this.words(), 'upstream fault: the instance switched protocols without understanding the handshake')
    this.status = 0
    this.#forgetTunnel()
    this.dropUpstream({ kind: 'fault', fault: 'bad-answer' })
    this.#problem(upstreamProblem('bad-answer', this.plan as ForwardPlan, this.#host.limits))
  }

  onTunnelEnd(): void {
    if (this.#restart !== 'told') this.front.onTunnelEnd()
  }

  onDrain(): void {
    this.front.onDrain()
  }

  onFault(error: Error, before: { head: boolean; anyByte: boolean; reused: boolean }) {
    const fault = faultOf(error)
    this.upstream = null
    if (before.head) {
      if (this.status !== 101) this.#host.log.warn({ ...this.words(), err: error }, 'the answer broke off midway')
      return this.#breakOff(fault)
    }
    if (this.#retry(fault, before.reused && !before.anyByte)) return
    this.#host.log.warn({ ...this.words(), err: error }, `upstream fault: ${fault}`)
    this.release({ kind: 'fault', fault })
    this.#problem(upstreamProblem(fault, this.plan as ForwardPlan, this.#host.limits))
  }

  #retry(fault: UpstreamFault, keptClosed: boolean): boolean {
    const plan = this.plan
    if (plan === null || !mayRetry(this.front, plan, { fault, keptClosed, attempts: this.attempts })) return false
    const avoid = this.lease?.target ?? null
    const route = avoid === null ? null : routeOfRetry(this.#host.table, plan.route, avoid, fault)
    if (plan.outside === null && route === null) return false
    // A kept connection that was closed between two requests says nothing about its instance's health.
    this.release(sentNothing(fault) ? { kind: 'fault', fault } : { kind: 'client-left' })
    if (route === null) this.#acquire(plan)
    else this.#ask(route, this.#again(avoid))
    return true
  }

  #again(avoid: TargetAsk['avoid']): TargetAsk {
    const { signal } = this
    return { cookie: () => this.cookie(), secure: this.secure, avoid, signal }
  }

  /** The client owes body bytes and is silent. */
  clientSilent() {
    if (this.answering) return this.#breakOff()
    this.dropUpstream({ kind: 'client-left' })
    this.#problem({ kind: 'bad-request', status: 408, detail: 'The body of the request did not arrive in time.' })
  }

  /** The chunks of the request cannot be read: nothing more of it may reach the instance. */
  clientBroken() {
    if (this.answering) return this.#breakOff()
    this.dropUpstream({ kind: 'client-left' })
    this.#problem({ kind: 'bad-request', status: 400, detail: 'The request is not valid HTTP/1.1.' })
  }

  #breakOff(fault?: UpstreamFault): void {
    this.reason = fault === undefined ? 'client-left' : 'broke-off'
    this.#filtered?.abort()
    this.dropUpstream(fault === undefined || this.status === 101 ? this.#asLeft() : { kind: 'fault', fault })
    this.#finish()
    this.front.abort()
  }

  /** The client is gone, or its connection is cut. */
  clientLeft(): void {
    if (!this.open) return
    this.stopWaiting()
    this.#filtered?.abort()
    this.dropUpstream(this.#asLeft())
    if (this.status !== 101) this.reason ??= 'client-left'
    this.#finish()
  }

  // A tunnel was answered when it opened, whoever ends it and how: that says nothing of what its instance makes of requests.
  #asLeft(): Outcome {
    return this.status === 101 ? { kind: 'answered', status: 101, headMs: this.upstreamMs ?? 0 } : { kind: 'client-left' }
  }

  #forgetTunnel(): void {
    if (this.#frames === null) return
    this.#frames = null
    this.#host.tunnels.delete(this)
  }

  #finish(): void {
    if (!this.open) return
    this.endTurn()
    this.#forgetTunnel()
    if (this.#filtered !== null && this.#passed) this.cache = this.#filtered.filter.cache
    this.#host.observer.end(this)
    this.forgetPlan()
    this.#filtered = null
    this.#deferred = null
  }
}
