import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import type { Admission, ForwardPlan, LocalAnswer } from '../../gate/gate'
import type { LiveRoute } from '../../match/host-table'
import { type Problem, renderProblem } from '../../pages/pages'
import { isLease, type Lease, type Outcome, type TargetAsk } from '../../targets/targets'
import type { Visitor } from '../headers/visitor'
import { isEventStream } from '../upstream/event-stream'
import {
  faultOf,
  InterimFlood,
  internalProblem,
  maxInterimBytes,
  quietProbeMs,
  sentNothing,
  silenceLimitMs,
  tooLarge,
  UnaskedUpgrade,
  type UpstreamFault,
  UpstreamSilence,
  upstreamProblem,
} from '../upstream/faults'
import { isSafe, routeOfRetry } from '../upstream/retry'
import type { AccessRecord } from './access-record'
import type { Destination } from './agents'
import { endUnread, isUnreadable, passBody, writeOwnBody } from './answer-body'
import { editPairs, forwardedHeaders, toPairs } from './edits'
import type { NodeFacts } from './facts'
import { FilterOnce } from './filter-once'
import { clientHeaders, upstreamHeaders } from './headers'
import type { Arrival, ExchangeHost } from './host'
import { answerHeaders } from './local-answer'
import { withResult } from './maybe-async'
import type { AcceptedRequest } from './request-rules'

const nothing = Buffer.alloc(0)

/**
 * One request and its answer. The client receives exactly one of: the instance's answer, an answer of the router, or, if an answer cannot
 * be completed, a broken connection (HTTP's sign of an incomplete message).
 */
export class Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  readonly #host: ExchangeHost
  readonly #record: AccessRecord
  /** Created only for requests that must wait for a target. */
  #abort: AbortController | null = null
  #expectsContinue: boolean
  #accepted: AcceptedRequest | undefined
  #facts: NodeFacts | undefined
  #plan: ForwardPlan | undefined
  #lease: Lease | undefined
  #attempts = 0
  #sentAt = 0
  #upstream: ClientRequest | undefined
  #bytesBefore = 0
  #interimBytes = 0
  #answered = false
  #filter = new FilterOnce(null)
  /** The client receives the instance's answer, possibly filtered. */
  #passes = false
  /** The answer failed at the instance or in the router. */
  #brokeOff = false
  /** An error page is being made. */
  #failing = false
  #gone = false

  constructor(host: ExchangeHost, { req, res, requestId, record, expectsContinue }: Arrival) {
    this.#host = host
    this.req = req
    this.res = res
    this.requestId = requestId
    this.#record = record
    this.#expectsContinue = expectsContinue
    res.on('close', () => this.onClientClose())
    req.on('error', () => {})
    res.on('error', () => {})
  }

  /** Asks the gate, then forwards the request or answers it. */
  start(accepted: AcceptedRequest, facts: NodeFacts, visitor: Visitor) {
    this.#accepted = accepted
    this.#facts = facts
    const { gate, table } = this.#host
    const route = table.find(facts.host)
    this.#record.route = route ?? null
    withResult(
      () => (route ? gate.admit(route, facts) : gate.admitUnknown(facts)),
      (admission) => this.#onAdmission(admission, visitor),
      (error) => this.#onBroken(error),
    )
  }

  #onAdmission(admission: Admission, visitor: Visitor) {
    if (admission.kind === 'answer') return this.answer(admission.answer)
    if (admission.kind === 'problem') return this.fail(admission.problem)
    this.#plan = admission
    this.#filter = new FilterOnce(admission.filter)
    this.#record.route = admission.route
    if (this.#gone) return this.#filter.abort()
    const { req } = this
    const accepted = this.#accepted as AcceptedRequest
    const limit = admission.maxBodyBytes
    if (limit !== null && !accepted.chunked && Number(req.headers['content-length'] ?? 0) > limit) return this.fail(tooLarge(limit))
    const headers = forwardedHeaders(upstreamHeaders(req, accepted, visitor, this.requestId, false), admission)
    req.headers = headers as IncomingMessage['headers']
    if (admission.outside) return this.#send(null, this.#host.upstreams.outside(admission.outside))
    this.#acquire(admission.route, null, (problem) => this.fail(problem))
  }

  #acquire(route: LiveRoute, avoid: Lease | null, otherwise: (problem: Problem) => void): void {
    const facts = this.#facts
    const signal = () => {
      this.#abort ??= new AbortController()
      return this.#abort.signal
    }
    const ask: TargetAsk = {
      cookie: () => facts?.header('cookie'),
      secure: facts?.scheme === 'https',
      avoid: avoid?.target ?? null,
      get signal() {
        return signal()
      },
    }
    withResult(
      () => this.#host.targets.acquire(route, ask),
      (result) => {
        if (!isLease(result)) return otherwise(result)
        if (this.#gone) return result.done({ kind: 'client-left' })
        this.#send(result, this.#host.upstreams.of(result.target, avoid !== null))
      },
      (error) => this.#onBroken(error),
    )
  }

  #send(lease: Lease | null, to: Destination): void {
    this.#lease = lease ?? undefined
    this.#record.instanceId = lease?.target.instanceId ?? null
    this.#attempts++
    this.#sentAt = performance.now()
    if (this.#expectsContinue) this.res.writeContinue()
    this.#expectsContinue = false
    if (this.#attempts === 1 && this.#accepted?.hasBody) this.req.on('data', this.#countBody)
    this.#host.forward(this, to)
  }

  readonly #countBody = (chunk: Buffer) => {
    this.#record.bytesIn += chunk.length
    const limit = this.#plan?.maxBodyBytes ?? null
    if (limit === null || this.#record.bytesIn <= limit) return
    // Chunked body: its size is known only now. The instance sees an aborted request.
    this.req.off('data', this.#countBody)
    if (this.#upstream) this.req.unpipe(this.#upstream)
    this.#release({ kind: 'client-left' })
    this.fail(tooLarge(limit))
  }

  /** The upstream request has a socket and has not sent a byte. */
  onUpstream(upstream: ClientRequest): void {
    this.#upstream = upstream
    if (this.#gone || this.res.closed) return void upstream.destroy()
    // http-proxy collapses slashes in paths; the instance gets the client's bytes.
    upstream.path = this.#plan?.target ?? this.req.url ?? '/'
    this.#bytesBefore = upstream.socket?.bytesRead ?? 0
    const limitMs = this.#plan ? silenceLimitMs(this.#plan, this.#host.limits) : this.#host.limits.upstreamTimeoutMs
    upstream.setTimeout(limitMs, () => upstream.destroy(new UpstreamSilence(`nothing received for ${limitMs} ms`)))
    upstream.once('upgrade', (_answer, socket) => {
      socket.destroy()
      this.onError(new UnaskedUpgrade('the instance switched protocols without being asked to'))
    })
    // An attempt that ends without an answer and without an error must not leave the client waiting.
    upstream.once('close', () => {
      if (this.#upstream === upstream && !this.#answered) this.onError(new Error('the upstream request ended without an answer'))
    })
    upstream.on('information', ({ statusCode, headers, rawHeaders }) => {
      this.#interimBytes += rawHeaders.reduce((sum, text) => sum + text.length, 16)
      if (this.#interimBytes > maxInterimBytes) upstream.destroy(new InterimFlood('interim answers without end'))
      else this.#onInformation(statusCode, headers)
    })
  }

  // Forward 103 only: 100 and 102 apply to this hop.
  #onInformation(status: number, headers: IncomingMessage['headers']): void {
    const { link } = headers
    if (status !== 103 || !link || this.res.headersSent || this.req.httpVersion !== '1.1') return
    try {
      this.res.writeEarlyHints({ link })
    } catch (error) {
      this.#host.log.warn({ requestId: this.requestId, err: error }, 'early hints dropped: not a valid Link header')
    }
  }

  /** The head of the instance's answer is here. */
  onAnswer(answer: IncomingMessage) {
    if (this.res.closed || this.res.headersSent) return void answer.destroy()
    if (isUnreadable(answer)) return this.#failUpstream('bad-answer', new Error('the answer is not HTTP/1.1'))
    this.#answered = true
    if (isEventStream(answer.headers['content-type'])) this.#allowSilence()
    this.#record.upstreamMs = performance.now() - this.#sentAt
    let status = answer.statusCode ?? 502
    let pairs = toPairs(clientHeaders(answer))
    const seen = this.#filter.onHead(status, pairs, (error) => this.#log('error', error, 'a filter failed: the answer passes as it is'))
    if (seen && 'replace' in seen) {
      this.#filter.finish()
      answer.destroy()
      this.#release({ kind: 'answered', status, headMs: this.#record.upstreamMs })
      return this.answer(seen.replace)
    }
    if (seen) ({ status, headers: pairs } = seen)
    this.#passes = true
    if (!this.#writeHead(status, status === answer.statusCode ? answer.statusMessage : undefined, pairs, answer))
      return endUnread(seen?.through ?? null)
    passBody(answer, seen?.through ?? null, this.res, {
      bodyless: this.req.method === 'HEAD' || status === 204 || status === 304,
      count: this.#countOut,
      broke: () => {
        this.#brokeOff = !this.#gone
      },
      done: (error) => this.#onAnswerDone(error, answer.statusCode ?? 502),
    })
  }

  // An event stream is silent while nothing happens: TCP keep-alive detects a lost peer.
  #allowSilence(): void {
    this.#upstream?.setTimeout(0)
    this.#upstream?.setSocketKeepAlive(true, quietProbeMs)
    this.req.socket.setKeepAlive(true, quietProbeMs)
  }

  readonly #countOut = (bytes: number) => {
    this.#record.bytesOut += bytes
  }

  #writeHead(status: number, reason: string | undefined, pairs: [string, string][], answer: IncomingMessage): boolean {
    const headers = editPairs(pairs, this.#plan?.responseHeaders ?? null).flat()
    if (this.#lease?.setCookie) headers.push('Set-Cookie', this.#lease.setCookie)
    headers.push('X-Request-Id', this.requestId)
    if (this.#host.draining) headers.push('Connection', 'close')
    try {
      this.res.writeHead(status, reason, headers)
    } catch (error) {
      this.#answered = false
      answer.destroy()
      this.#failUpstream('bad-answer', error)
      return false
    }
    this.#record.status = status
    // Send the head now if no body follows at once (event streams, long polls). `flushHeaders` would encode the latin1 header values as
    // UTF-8.
    this.res.write(nothing)
    return true
  }

  #onAnswerDone(error: Error | null, status: number): void {
    const clientLeft = !this.#brokeOff
    // A client may leave at any time; only an instance that breaks off its answer is logged.
    if (error && !clientLeft) this.#log('warn', error, 'the answer broke off midway')
    if (error) {
      this.#record.reason = clientLeft ? 'client-left' : 'broke-off'
      this.#filter.abort()
      this.res.destroy()
    }
    this.#filter.finish()
    // The instance answered before the whole body was read: it does not need the rest.
    if (!this.req.complete) this.#upstream?.destroy()
    const fault = error && !clientLeft
    this.#release(fault ? { kind: 'fault', fault: faultOf(error) } : { kind: 'answered', status, headMs: this.#record.upstreamMs ?? 0 })
    this.#linger()
  }

  /** The upstream request failed, before or after the start of its answer. */
  onError(error: Error) {
    if (this.#answered || this.#failing) return // the answer's own pipeline tells
    if (this.#gone || this.res.closed || this.res.headersSent) return this.#release({ kind: 'client-left' })
    if (this.#retry(error)) return
    this.#failUpstream(faultOf(error), error)
  }

  /**
   * A second attempt: only once, and only if it cannot repeat an effect. The request has no body, and either nothing was sent (no
   * connection, and another target exists), or its method is safe and a kept connection closed before any byte of the answer.
   */
  #retry(error: Error): boolean {
    const lease = this.#lease
    if (this.#attempts > 1 || this.#accepted?.hasBody !== false || !lease || !this.#plan) return false
    const fault = faultOf(error)
    const upstream = this.#upstream
    const keptClosed =
      fault === 'reset' && upstream?.reusedSocket === true && upstream.socket?.bytesRead === this.#bytesBefore && isSafe(this.req.method ?? '')
    if (!sentNothing(fault) && !keptClosed) return false
    const route = routeOfRetry(this.#host.table, this.#plan.route, lease.target, fault)
    if (route === null) return false
    this.#release({ kind: 'fault', fault })
    this.#upstream = undefined
    this.#acquire(route, lease, () => this.#failUpstream(fault, error))
    return true
  }

  #failUpstream(fault: UpstreamFault, error: unknown): void {
    this.#upstream?.destroy()
    this.#release({ kind: 'fault', fault })
    this.#log('warn', error, `upstream fault: ${fault}`)
    if (this.#plan) this.fail(upstreamProblem(fault, this.#plan, this.#host.limits))
  }

  /** The router itself threw: a bug that fails only this request. */
  #onBroken(error: unknown): void {
    this.#log('error', error, 'the router failed to serve a request')
    this.#record.reason = 'router-error'
    if (!this.#gone) this.refuse(internalProblem)
  }

  /** Answers with an error page, the project's own if it has one. */
  fail(problem: Problem) {
    const facts = this.#facts
    this.#upstream?.destroy()
    if (this.res.headersSent || this.res.closed) return void this.res.destroy()
    if (!facts) return this.refuse(problem)
    this.#failing = true
    withResult(
      () => this.#host.gate.problem(problem, this.#record.route, facts),
      (answer) => this.answer(answer),
      (error) => this.#onBroken(error),
    )
  }

  /** Answers a malformed head: without the gate, and closes the connection, because its next bytes cannot be interpreted. */
  refuse(problem: Problem): void {
    const accept = this.req.headers.accept
    const page = renderProblem(problem, { requestId: this.requestId, accept, dashboardUrl: this.#host.table.dashboardUrl })
    this.answer({ ...page, cache: 'none', why: problem.kind, close: true })
  }

  /** Writes an answer made by the router. */
  answer(answer: LocalAnswer): void {
    const { res, req } = this
    this.#filter.abort()
    if (res.headersSent || res.closed) return void res.destroy()
    const headers = answerHeaders(answer, this.requestId)
    if (answer.close || this.#host.draining) headers.push('Connection', 'close')
    this.#record.status = answer.status
    this.#record.cache = answer.cache
    this.#record.reason = answer.why
    res.writeHead(answer.status, answer.reason, headers)
    const failed = (error: Error) => {
      if (!req.socket.destroyed) this.#log('warn', error, 'an answer of ours broke off midway')
    }
    writeOwnBody(req.method === 'HEAD' ? null : answer.body, res, this.#countOut, failed)
    this.#linger()
  }

  /** The client stopped sending the body (408) or sent an invalid one (400). */
  onBodyFault(status: 400 | 408, detail: string): void {
    // The request waits for a target, and the router does not read its body yet.
    if (this.#attempts === 0 && status === 408) return
    this.#release({ kind: 'client-left' })
    if (this.#attempts > 0 && !this.req.complete && !this.res.headersSent) this.fail({ kind: 'bad-request', status, detail })
    else this.res.destroy()
  }

  // After an early answer the rest of the body is read and dropped for a while: closing at once would reset the connection, and the
  // client might lose the answer that is on its way.
  #linger(): void {
    const { req } = this
    if (req.complete || req.destroyed) return
    if (this.#upstream) req.unpipe(this.#upstream)
    // Wait while the client still reads the answer: the socket's own timer detects a client that does not.
    const timer = setInterval(() => req.socket.writableLength === 0 && req.socket.destroy(), this.#host.limits.lingerMs)
    const stop = () => clearInterval(timer)
    req.resume()
    req.once('end', stop)
    req.once('close', stop)
  }

  /** The answer is completely written, or the connection is lost. */
  onClientClose(): void {
    if (this.#gone) return
    this.#gone = true
    this.#abort?.abort()
    if (!this.res.writableFinished) {
      this.#upstream?.destroy()
      this.#record.reason ??= 'client-left'
    }
    if (!this.#answered) this.#release({ kind: 'client-left' })
    if (this.#passes && this.res.writableFinished) this.#filter.finish()
    this.#filter.abort()
    if (this.#passes) this.#record.cache = this.#filter.cache ?? this.#record.cache
    this.#record.end()
  }

  #release(outcome: Outcome): void {
    const lease = this.#lease
    this.#lease = undefined
    lease?.done(outcome)
  }

  #log(level: 'warn' | 'error', error: unknown, message: string): void {
    const { method, url = '' } = this.req
    const fields = {
      requestId: this.requestId,
      method,
      host: this.#record.route?.host,
      path: url.split('?', 1)[0]?.slice(0, 512),
      instanceId: this.#record.instanceId,
      attempts: this.#attempts,
    }
    this.#host.log[level]({ ...fields, err: error }, message)
  }
}
