import type { EngineLimits } from '../env'
import type { Admission, ForwardPlan, Gate, LocalAnswer } from '../gate/gate'
import { problemAnswer } from '../gate/problem-answer'
import type { RouterLog } from '../log'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Observer } from '../observe/observer'
import type { Problem } from '../pages/pages'
import { isLease, type Lease, type Outcome, type TargetAsk, type Targets } from '../targets/targets'
import { AccessRecord } from './access-record'
import type { Downstream } from './downstream'
import { FilteredAnswer } from './filtered-answer'
import type { AnswerHead } from './http1/parse/answer-head'
import type { Tunnel, Tunnels } from './tunnels'
import type { AnswerSink, UpstreamConnection } from './upstream/connection'
import { faultOf, internalProblem, sentNothing, silenceLimitMs, tooLarge, type UpstreamFault, upstreamProblem } from './upstream/faults'
import type { Pools } from './upstream/pool'
import { UpstreamRequest } from './upstream/request'
import { mayRetry, routeOfRetry } from './upstream/retry'
import { FrameBoundary, restartFrame } from './websocket-frames'

/** The parts of an engine that its exchanges share. */
export interface ExchangeHost {
  readonly gate: Gate
  readonly targets: Targets
  readonly observer: Observer
  readonly pools: Pools
  readonly tunnels: Tunnels
  readonly limits: EngineLimits
  readonly log: RouterLog
  readonly table: HostTable
  readonly draining: boolean
}

const optionsAnswer: LocalAnswer = {
  status: 204,
  headers: [['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']],
  body: null,
  cache: 'none',
  why: 'options',
}

/**
 * One request from its head to its access record, the same for every protocol of clients: gate, target, instance, answer, log. The client
 * gets exactly one of: the instance's answer, an answer of ours, or, when an answer has begun and cannot be finished, a broken connection
 * or stream. One exchange serves the requests of a connection or stream in turn.
 */
export class Exchange implements AnswerSink, TargetAsk, Tunnel {
  readonly record: AccessRecord
  readonly upstream: UpstreamRequest
  /** Required of a `TargetAsk`: a first attempt avoids no target. */
  readonly avoid = null
  /** Pending decisions, of this request and of earlier ones. The facts they read must not become those of another request. */
  undecided = 0
  readonly #host: ExchangeHost
  readonly #downstream: Downstream
  /** Counts requests: a late decision belongs to the request that was under way when it was asked for. */
  #generation = 0
  #open = false
  #begunAt = 0
  /** A decision was asynchronous: the send time must be read from the clock. */
  #waited = false
  #left: AbortController | null = null
  #forwarded = false
  #filtered: FilteredAnswer | null = null
  /** Sent when the instance's bodyless answer has ended. */
  #deferred: LocalAnswer | null = null
  /** The client gets the instance's answer, filtered or not. */
  #passed = false
  /** Position in the WebSocket frames of the instance; null: no WebSocket. */
  #frames: FrameBoundary | null = null
  /** A close frame (1012) for the client: due at the next frame boundary, or sent. */
  #restart: 'no' | 'due' | 'sent' = 'no'

  constructor(host: ExchangeHost, downstream: Downstream) {
    this.#host = host
    this.#downstream = downstream
    this.record = new AccessRecord(downstream)
    this.upstream = new UpstreamRequest(downstream, (limit) => this.#tooLarge(limit))
  }

  /** Whether a request is under way. */
  get open(): boolean {
    return this.#open
  }

  /** Whether the answer has begun. */
  get answering(): boolean {
    return this.record.status !== 0
  }

  get instanceId(): string | null {
    return this.record.instanceId
  }

  // TargetAsk: properties of the request for target selection.

  cookie(): string | undefined {
    return this.#downstream.facts.header('cookie')
  }

  get secure(): boolean {
    return this.#downstream.facts.scheme === 'https'
  }

  /** Aborts when the client leaves. Only made for requests that have to wait. */
  get signal(): AbortSignal {
    this.#left ??= new AbortController()
    return this.#left.signal
  }

  // Deciding on a request.

  /** Begins with a well-formed request; `route` is the table's entry for its host. */
  start(route: LiveRoute | null) {
    this.#begin(route)
    const { gate } = this.#host
    const { facts } = this.#downstream
    let admission: Admission | Promise<Admission>
    try {
      admission = route === null ? gate.admitUnknown(facts) : gate.admit(route, facts)
    } catch (error) {
      return this.#broken(error)
    }
    if (admission instanceof Promise) this.#later(admission, (value) => this.#admitted(value), discardAdmission)
    else this.#admitted(admission)
  }

  /** Answers a malformed head. The gate is not asked. */
  refuse(problem: Problem): void {
    this.#begin(null)
    this.#local(this.#plainPage(problem))
  }

  /** Answers `OPTIONS *`, which asks about this server and not about an app (RFC 9110 §9.3.7). */
  answerOptions(): void {
    this.#begin(null)
    this.#local(optionsAnswer)
  }

  #begin(route: LiveRoute | null): void {
    this.#generation++
    this.#open = true
    this.#waited = false
    this.#begunAt = performance.now()
    this.record.begin(route)
    this.upstream.begin()
    this.#forwarded = false
    this.#passed = false
  }

  /** Continues with `next` when the promise settles; with `late` if the request has ended by then. */
  #later<T>(promise: Promise<T>, next: (value: T) => void, late: (value: T) => void = () => {}): void {
    const generation = this.#generation
    this.#waited = true
    this.#downstream.facts.detach()
    this.undecided++
    const current = () => {
      this.undecided--
      return this.#generation === generation && this.#open
    }
    promise.then(
      (value) => (current() ? next(value) : late(value)),
      (error) => {
        if (current()) this.#broken(error)
      },
    )
  }

  /** A decision threw: a fault of the router, which fails this request alone. */
  #broken(error: unknown): void {
    this.#host.log.error({ ...this.record.logFields(), err: error }, 'a request could not be decided')
    this.#local(this.#plainPage(internalProblem))
  }

  #plainPage(problem: Problem): LocalAnswer {
    const { facts } = this.#downstream
    return problemAnswer(problem, facts.requestId, facts.header('accept'), this.#host.table.dashboardUrl)
  }

  #admitted(admission: Admission): void {
    if (admission.kind === 'forward') this.#forward(admission)
    else if (admission.kind === 'answer') this.#local(admission.answer)
    else this.#problem(admission.problem)
  }

  // Answers made by the router.

  #problem(problem: Problem) {
    let answer: LocalAnswer | Promise<LocalAnswer>
    try {
      answer = this.#host.gate.problem(problem, this.record.route, this.#downstream.facts)
    } catch (error) {
      return this.#broken(error)
    }
    this.record.reason = problem.kind
    if (answer instanceof Promise) this.#later(answer, (value) => this.#local(value))
    else this.#local(answer)
  }

  #local(answer: LocalAnswer): void {
    const { record } = this
    this.#filtered?.abort()
    record.status = answer.status
    record.cache = answer.cache
    record.reason = answer.why
    this.#passed = false
    this.#downstream.answer(answer)
  }

  /** The downstream wrote an answer of ours to its end. */
  localDone(): void {
    this.#filtered?.finished()
    this.upstream.drop(this.#answered())
    this.#finish()
  }

  // Forwarding to the instance.

  #forward(plan: ForwardPlan) {
    const downstream = this.#downstream
    this.upstream.plan = plan
    this.#filtered = plan.filter === null || plan.filter.shared === true ? null : new FilteredAnswer(plan.filter)
    this.record.route = plan.route
    const limit = plan.maxBodyBytes
    if (limit !== null && downstream.body === 'length' && downstream.contentLength > limit) return this.#tooLarge(limit)
    const held = downstream.untilWorthAsking()
    if (held === null) this.#acquire(plan)
    else this.#later(held, () => this.#acquire(plan))
  }

  #acquire(plan: ForwardPlan) {
    if (plan.outside !== null) return this.#send(null, this.#host.pools.outside(plan.outside).take(this.upstream.attempts > 0))
    this.#ask(plan.route, this)
  }

  #ask(route: LiveRoute, ask: TargetAsk) {
    let lease: ReturnType<Targets['acquire']>
    try {
      lease = this.#host.targets.acquire(route, ask)
    } catch (error) {
      return this.#broken(error)
    }
    if (lease instanceof Promise) this.#later(lease, (value) => this.#acquired(value), discardLease)
    else this.#acquired(lease)
  }

  #acquired(lease: Lease | Problem) {
    if (!isLease(lease)) return this.#problem(lease)
    const fresh = this.upstream.attempts > 0 || this.#downstream.wantsUpgrade
    this.#send(lease, this.#host.pools.of(lease.target).take(fresh))
  }

  #send(lease: Lease | null, connection: UpstreamConnection): void {
    const { upstream } = this
    const downstream = this.#downstream
    upstream.lease = lease
    this.record.instanceId = lease?.target.instanceId ?? null
    upstream.connection = connection
    upstream.sentAt = upstream.attempts++ === 0 && !this.#waited ? this.#begunAt : performance.now()
    const { out } = connection
    const plan = upstream.plan as ForwardPlan
    const silenceMs = silenceLimitMs(plan, this.#host.limits)
    connection.begin(this, { head: downstream.facts.method === 'HEAD', upgrade: downstream.wantsUpgrade, silenceMs })
    const again = upstream.sentHead !== null
    if (upstream.sentHead === null) downstream.writeHead(out, plan)
    if (downstream.body === 'none') {
      const head = upstream.sentHead ?? out.seal()
      upstream.keepHead(head)
      connection.requestEnded()
      out.write(head)
    } else upstream.keepHead(out.view())
    if (!again && !this.#forwarded) {
      this.#forwarded = true
      downstream.onForwarding()
    }
  }

  #tooLarge(limit: number) {
    this.#failRequest(tooLarge(limit))
  }

  /** Copies what the request still needs out of shared memory. Called once when a request takes long. */
  settle(): void {
    this.upstream.settle()
  }

  // AnswerSink: receives the instance's answer.

  onInformation(head: AnswerHead): void {
    if (head.status === 103) this.#downstream.onInformation(head)
  }

  onHead(head: AnswerHead): void {
    const { record, upstream } = this
    record.status = head.status
    record.upstreamMs = performance.now() - upstream.sentAt
    this.#passed = true
    const plan = upstream.plan as ForwardPlan
    const setCookie = upstream.lease?.setCookie ?? null
    const { filter } = plan
    if (filter !== null && filter.shared === true && (filter.wants?.(head.status, head.read, head.contentLength) ?? true))
      this.#filtered = new FilteredAnswer(filter)
    if (this.#filtered === null || !this.#filter(this.#filtered, head, setCookie)) this.#downstream.onHead(head, plan.responseHeaders, setCookie)
  }

  #filter(filtered: FilteredAnswer, head: AnswerHead, setCookie: string | null): boolean {
    const { record, upstream } = this
    let verdict: ReturnType<FilteredAnswer['onHead']>
    try {
      verdict = filtered.onHead(head, this.#downstream.facts.method === 'HEAD', upstream.plan?.responseHeaders ?? null, setCookie)
    } catch (error) {
      upstream.drop(this.#answered())
      this.#broken(error)
      return true
    }
    if (verdict === null) return false
    if (verdict.kind === 'replace') {
      upstream.drop(this.#answered())
      this.#local(verdict.answer)
      return true
    }
    record.status = verdict.answer.status
    if (verdict.kind === 'bodiless') this.#deferred = verdict.answer
    else this.#stream(filtered, verdict.answer)
    return true
  }

  #stream(filtered: FilteredAnswer, answer: LocalAnswer): void {
    const generation = this.#generation
    const onBroken = () => {
      if (this.#generation === generation && this.#open) this.#breakOff()
    }
    const open = () => filtered.open(() => this.upstream.resumeAnswer(), onBroken)
    this.#downstream.answer({ ...answer, body: { length: null, open } })
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (this.#frames !== null) this.#tunnelBody(this.#frames, bytes, start, end)
    else if (this.#filtered === null || !this.#filtered.streams) this.#downstream.onBody(bytes, start, end)
    else if (!this.#filtered.write(bytes, start, end)) this.upstream.pauseAnswer()
  }

  onTrailers(trailers: [string, string][]): void {
    if (this.#filtered === null || !this.#filtered.streams) this.#downstream.onTrailers(trailers)
  }

  onFlush(): void {
    if (this.record.status !== 0 && (this.#filtered === null || !this.#filtered.streams)) this.#downstream.onFlush()
  }

  onEnd() {
    const { upstream } = this
    upstream.connection = null
    upstream.release(this.#answered())
    if (this.#deferred !== null || this.#filtered?.streams) {
      // The connection may carry the next request before this answer is sent: the request head must not stay in its memory.
      this.settle()
      if (this.#deferred !== null) return this.#downstream.answer(this.#deferred)
      return this.#filtered?.end()
    }
    this.#filtered?.finished()
    this.#finish()
    this.#downstream.onEnd()
  }

  onDrain(): void {
    this.#downstream.onDrain()
  }

  // WebSockets.

  onSwitch(head: AnswerHead): void {
    const { record, upstream } = this
    record.status = 101
    record.upstreamMs = performance.now() - upstream.sentAt
    this.#frames = new FrameBoundary()
    this.#restart = 'no'
    this.#host.tunnels.add(this)
    this.#downstream.onSwitch(head, upstream.plan?.responseHeaders ?? null, upstream.lease?.setCookie ?? null)
  }

  #tunnelBody(frames: FrameBoundary, bytes: Buffer, start: number, end: number): void {
    if (this.#restart === 'sent') return
    const after = frames.take(bytes, start, end, this.#restart === 'due')
    this.#downstream.onBody(bytes, start, after)
    if (this.#restart === 'due' && frames.between) this.#sendRestart()
  }

  sendRestart(): void {
    if (this.#frames === null || this.#restart !== 'no') return
    this.#restart = 'due'
    if (this.#frames.between) this.#sendRestart()
  }

  // The client's reply, a close frame too, still reaches the instance.
  #sendRestart(): void {
    this.#restart = 'sent'
    this.#downstream.onBody(restartFrame, 0, restartFrame.length)
    this.#downstream.onTunnelEnd()
    this.upstream.resumeAnswer()
  }

  /** The downstream rejects the instance's 101; nothing of it reached the client. */
  switchRefused(): void {
    this.#host.log.warn(this.record.logFields(), 'upstream fault: the instance switched protocols without understanding the handshake')
    this.record.status = 0
    this.#forgetTunnel()
    this.upstream.drop({ kind: 'fault', fault: 'bad-answer' })
    this.#problem(upstreamProblem('bad-answer', this.upstream.plan as ForwardPlan, this.#host.limits))
  }

  onTunnelEnd(): void {
    if (this.#restart !== 'sent') this.#downstream.onTunnelEnd()
  }

  #forgetTunnel(): void {
    if (this.#frames === null) return
    this.#frames = null
    this.#host.tunnels.delete(this)
  }

  // Faults of the instance.

  onFault(error: Error, before: { head: boolean; anyByte: boolean; reused: boolean }) {
    const { record, upstream } = this
    const fault = faultOf(error)
    upstream.connection = null
    if (before.head) {
      if (record.status !== 101) this.#host.log.warn({ ...record.logFields(), err: error }, 'the answer broke off midway')
      return this.#breakOff(fault)
    }
    if (this.#retry(fault, before.reused && !before.anyByte)) return
    this.#host.log.warn({ ...record.logFields(), err: error }, `upstream fault: ${fault}`)
    upstream.release({ kind: 'fault', fault })
    this.#problem(upstreamProblem(fault, upstream.plan as ForwardPlan, this.#host.limits))
  }

  #retry(fault: UpstreamFault, keptClosed: boolean): boolean {
    const { plan, attempts, lease } = this.upstream
    if (plan === null || !mayRetry(this.#downstream, plan, { fault, keptClosed, attempts })) return false
    const avoid = lease?.target ?? null
    const route = avoid === null ? null : routeOfRetry(this.#host.table, plan.route, avoid, fault)
    if (plan.outside === null && route === null) return false
    // A kept connection that closed between two requests says nothing about the health of its instance.
    this.upstream.release(sentNothing(fault) ? { kind: 'fault', fault } : { kind: 'client-left' })
    if (route === null) this.#acquire(plan)
    else this.#ask(route, this.#askAgain(avoid))
    return true
  }

  #askAgain(avoid: TargetAsk['avoid']): TargetAsk {
    const { signal } = this
    return { cookie: () => this.cookie(), secure: this.secure, avoid, signal }
  }

  // Faults of the client.

  /** The client has stopped sending the body. */
  clientSilent(): void {
    this.#failRequest({ kind: 'bad-request', status: 408, detail: 'The body of the request did not arrive in time.' })
  }

  /** The request's chunked framing is malformed: forward no more of it. */
  clientBroken(): void {
    this.#failRequest({ kind: 'bad-request', status: 400, detail: 'The request is not valid HTTP/1.1.' })
  }

  #failRequest(problem: Problem) {
    if (this.answering) return this.#breakOff()
    this.upstream.drop({ kind: 'client-left' })
    this.#problem(problem)
  }

  /** The client disconnected, or its connection was cut. */
  clientLeft(): void {
    if (!this.#open) return
    this.#left?.abort()
    this.#filtered?.abort()
    this.upstream.drop(this.#abandoned())
    if (this.record.status !== 101) this.record.reason ??= 'client-left'
    this.#finish()
  }

  // End of the exchange.

  #breakOff(fault?: UpstreamFault): void {
    const { record } = this
    record.reason = fault === undefined ? 'client-left' : 'broke-off'
    this.#filtered?.abort()
    this.upstream.drop(fault === undefined || record.status === 101 ? this.#abandoned() : { kind: 'fault', fault })
    this.#finish()
    this.#downstream.abort()
  }

  #answered(): Outcome {
    return { kind: 'answered', status: this.record.status, headMs: this.record.upstreamMs ?? 0 }
  }

  // A tunnel was answered when it opened: its end says nothing about how the instance serves requests.
  #abandoned(): Outcome {
    return this.record.status === 101 ? this.#answered() : { kind: 'client-left' }
  }

  #finish(): void {
    if (!this.#open) return
    const { record } = this
    this.#open = false
    record.durationMs = performance.now() - this.#begunAt
    this.#left = null
    this.#forgetTunnel()
    if (this.#filtered !== null && this.#passed) record.cache = this.#filtered.filter.cache
    this.#host.observer.end(record)
    this.upstream.forget()
    this.#filtered = null
    this.#deferred = null
  }
}

/** Returns a lease that arrived after its request ended. */
function discardLease(lease: Lease | Problem): void {
  if (isLease(lease)) lease.done({ kind: 'client-left' })
}

/** Aborts the filter of an admission that arrived after its request ended: other requests may wait for the same answer. */
function discardAdmission(admission: Admission): void {
  if (admission.kind === 'forward') admission.filter?.abort()
}
