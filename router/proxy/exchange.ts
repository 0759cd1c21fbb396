import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { Target } from '@/shared/route-table'
import type { EngineLimits } from '../env'
import type { HostTable, LiveRoute } from '../match/host-table'
import { type Problem, renderProblem } from '../pages/pages'
import { noTargetProblem } from '../targets/least-loaded'
import { type InFlight, pickTarget, sameTarget } from './balancer'
import type { EngineLog } from './engine'
import { clientHeaders, clientTrailers, upstreamHeaders } from './headers'
import { type AcceptedRequest, isIdempotent } from './request-rules'
import { faultOf, UnaskedUpgrade, type UpstreamFault, UpstreamSilence, type Upstreams } from './upstreams'

/** What an exchange needs of its engine. */
export interface ExchangeHost {
  readonly limits: EngineLimits
  readonly log: EngineLog
  readonly counts: InFlight
  readonly upstreams: Upstreams
  readonly table: HostTable
  readonly draining: boolean
  /** Starts an upstream request; its events come back by `onUpstream`, `onAnswer` and `onError`. */
  forward(exchange: Exchange, target: Target, fresh: boolean): void
}

/**
 * One request and its answer. The client sees exactly one of: the instance's answer, a page of ours, or, once an answer has begun and
 * cannot be finished, a broken connection (which is how HTTP says "incomplete").
 */
export class Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  readonly #host: ExchangeHost
  #accepted: AcceptedRequest | undefined
  #route: LiveRoute | undefined
  #target: Target | undefined
  #attempts = 0
  #upstream: ClientRequest | undefined
  #bytesBefore = 0
  #answered = false
  #release: () => void = () => {}
  /** Asked by the client to wait for "100 Continue" before its body. */
  #expectsContinue: boolean

  constructor(host: ExchangeHost, req: IncomingMessage, res: ServerResponse, requestId: string, expectsContinue: boolean) {
    this.#host = host
    this.req = req
    this.res = res
    this.requestId = requestId
    this.#expectsContinue = expectsContinue
    res.on('close', () => this.#onClientClose())
    req.on('error', () => {})
    res.on('error', () => {})
  }

  /** Routes and forwards the request. */
  start(accepted: AcceptedRequest) {
    this.#accepted = accepted
    const route = this.#host.table.find(accepted.authority.host)
    if (!route) return this.fail({ kind: 'unknown-host', host: accepted.authority.host })
    const target = pickTarget(route, this.#host.counts)
    if (!target) return this.fail(noTargetProblem(route))
    if (this.#expectsContinue) this.res.writeContinue()
    this.req.headers = upstreamHeaders(this.req, accepted, this.requestId, false) as IncomingMessage['headers']
    this.#send(route, target, false)
  }

  #send(route: LiveRoute, target: Target, fresh: boolean): void {
    this.#route = route
    this.#target = target
    this.#attempts++
    this.#release = this.#host.counts.acquire(target.instanceId)
    this.#host.forward(this, target, fresh)
  }

  /** The upstream request has a socket and has not sent a byte. */
  onUpstream(upstream: ClientRequest) {
    this.#upstream = upstream
    if (this.res.closed) return void upstream.destroy()
    // http-proxy collapses slashes in paths; the instance gets the client's bytes.
    upstream.path = this.req.url ?? '/'
    this.#bytesBefore = upstream.socket?.bytesRead ?? 0
    const { upstreamTimeoutMs } = this.#host.limits
    upstream.setTimeout(upstreamTimeoutMs, () => upstream.destroy(new UpstreamSilence(`nothing received for ${upstreamTimeoutMs} ms`)))
    upstream.once('upgrade', (_answer, socket) => {
      socket.destroy()
      this.onError(new UnaskedUpgrade('the instance switched protocols without being asked to'))
    })
    // Whatever else ends an attempt without an answer and without an error must not leave the client waiting.
    upstream.once('close', () => {
      if (this.#upstream === upstream && !this.#answered) this.onError(new Error('the upstream request ended without an answer'))
    })
    upstream.on('information', (info) => this.#onInformation(info.statusCode, info.headers))
  }

  // 103 passes on; 100 and 102 were meant for this hop.
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
    this.#answered = true
    const headers = clientHeaders(answer, this.requestId)
    if (this.#host.draining) headers.push('Connection', 'close')
    try {
      this.res.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers)
    } catch (error) {
      this.#answered = false
      answer.destroy()
      return this.#failUpstream('bad-answer', error)
    }
    // A head that is not followed at once by a body must not wait for one: event streams, long polls.
    this.res.flushHeaders()
    answer.once('end', () => this.#passTrailers(answer))
    pipeline(answer, this.res, (error) => this.#onAnswerDone(error ?? null))
  }

  #passTrailers(answer: IncomingMessage): void {
    if (answer.rawTrailers.length > 0 && this.res.chunkedEncoding) this.res.addTrailers(clientTrailers(answer))
  }

  #onAnswerDone(error: Error | null): void {
    // Ours is a client that left, which is its right; an instance that stopped midway is worth a line.
    if (error && !this.req.socket.destroyed) this.#log('warn', error, 'the answer broke off midway')
    if (error) this.res.destroy()
    // Answered before the whole body was read: the instance does not want the rest.
    if (!this.req.complete) this.#upstream?.destroy()
    this.#release()
    this.#linger()
  }

  /** The upstream request failed, before or after its answer began. */
  onError(error: Error) {
    if (this.#answered) return // the answer's own pipeline tells
    if (this.res.closed || this.res.headersSent) return this.#release()
    if (this.#retry(error)) return
    this.#failUpstream(faultOf(error), error)
  }

  /**
   * A second attempt, once, and only when it cannot repeat anything: the request has no body, and either nothing of it was sent (the
   * connection was refused, and another target is there), or it is idempotent and a kept connection closed before any byte of answer.
   */
  #retry(error: Error): boolean {
    const { req } = this
    if (this.#attempts > 1 || !this.#accepted || this.#accepted.hasBody || !this.#target) return false
    const fault = faultOf(error)
    const upstream = this.#upstream
    const sentNothing = fault === 'refused'
    const keptClosed =
      fault === 'reset' && upstream?.reusedSocket === true && upstream.socket?.bytesRead === this.#bytesBefore && isIdempotent(req.method ?? '')
    if (!sentNothing && !keptClosed) return false
    // The newest table: the instance may be gone because its successor took over.
    const route = this.#host.table.find(this.#accepted.authority.host)
    const target = route && pickTarget(route, this.#host.counts, this.#target)
    if (!route || !target || (sentNothing && sameTarget(target, this.#target))) return false
    this.#release()
    this.#upstream = undefined
    this.#send(route, target, true)
    return true
  }

  #failUpstream(fault: UpstreamFault, error: unknown): void {
    this.#upstream?.destroy()
    this.#release()
    this.#log('warn', error, `upstream fault: ${fault}`)
    const { limits } = this.#host
    if (this.#route) this.fail(upstreamProblem(fault, this.#route, limits))
  }

  /** Answers with a page of our own. */
  fail(problem: Problem) {
    const { res, req } = this
    this.#upstream?.destroy()
    if (res.headersSent || res.closed) return void res.destroy()
    const page = renderProblem(problem, {
      requestId: this.requestId,
      accept: req.headers.accept ?? rawHeader(req, 'accept'),
      dashboardUrl: this.#host.table.dashboardUrl,
    })
    const headers = page.headers.flat()
    // What breaks the rules of framing makes the rest of the connection unreadable.
    if (problem.kind === 'bad-request' || this.#host.draining) headers.push('Connection', 'close')
    res.writeHead(page.status, page.reason, headers)
    res.end(page.body)
    this.#linger()
  }

  /** The client owes body bytes and is silent. */
  onClientSilence(): void {
    if (!this.req.complete && !this.res.headersSent)
      this.fail({ kind: 'bad-request', status: 408, detail: 'The body of the request did not arrive in time.' })
    else this.res.destroy()
  }

  // After an early answer the rest of the body is read and dropped for a while: closing at once would reset the connection, and the
  // client might lose the answer that is on its way.
  #linger(): void {
    const { req } = this
    if (req.complete || req.destroyed) return
    if (this.#upstream) req.unpipe(this.#upstream)
    req.resume()
    const timer = setTimeout(() => req.socket.destroy(), this.#host.limits.lingerMs)
    const settle = () => clearTimeout(timer)
    req.once('end', settle)
    req.once('close', settle)
  }

  #onClientClose(): void {
    if (!this.res.writableFinished) this.#upstream?.destroy()
    if (!this.#answered) this.#release()
  }

  #log(level: 'warn' | 'error', error: unknown, message: string): void {
    const { method, url } = this.req
    const fields = {
      requestId: this.requestId,
      method,
      host: this.#route?.host,
      path: url?.slice(0, 512),
      instanceId: this.#target?.instanceId,
      attempts: this.#attempts,
    }
    this.#host.log[level]({ ...fields, err: error }, message)
  }
}

// The request's own headers may have been replaced by the upstream's, whose names keep the client's spelling.
function rawHeader(req: IncomingMessage, name: string): string | undefined {
  const at = req.rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name)
  return at === -1 ? undefined : req.rawHeaders[at + 1]
}

/** The page for an upstream fault. */
export function upstreamProblem(fault: UpstreamFault, route: LiveRoute, limits: EngineLimits): Problem {
  const named = { host: route.host, projectName: route.projectName }
  if (fault === 'connect-timeout') return { kind: fault, ...named, timeoutMs: limits.connectTimeoutMs }
  if (fault === 'answer-timeout') return { kind: fault, ...named, timeoutMs: limits.upstreamTimeoutMs }
  return { kind: fault, ...named }
}
