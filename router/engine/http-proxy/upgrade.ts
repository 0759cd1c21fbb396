import type { ClientRequest, IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import type { Admission, ForwardPlan, LocalAnswer } from '../../gate/gate'
import type { LiveRoute } from '../../match/host-table'
import { type Problem, renderProblem } from '../../pages/pages'
import { isLease, type Lease, type Outcome, type TargetAsk } from '../../targets/targets'
import type { Visitor } from '../headers/visitor'
import type { Tunnel } from '../tunnels'
import { faultOf, internalProblem, sentNothing, silenceLimitMs, type UpstreamFault, UpstreamSilence, upstreamProblem } from '../upstream/faults'
import { routeOfRetry } from '../upstream/retry'
import { FrameBoundary, restartFrame } from '../websocket-frames'
import type { AccessRecord } from './access-record'
import type { Destination } from './agents'
import { editPairs, forwardedHeaders, toPairs, toRecord } from './edits'
import type { NodeFacts } from './facts'
import { clientHeaders, upstreamHeaders } from './headers'
import type { EngineHost } from './host'
import { encodeAnswerHead, isStreamed, openBody } from './local-answer'
import { withResult } from './maybe-async'
import type { AcceptedRequest } from './request-rules'

export interface UpgradeHost extends EngineHost {
  /** Sends the handshake; its events call `onUpstream` and `onError`. */
  forwardUpgrade(upgrade: Upgrade, to: Destination): void
}

/** A received handshake. */
export interface UpgradeArrival {
  req: IncomingMessage
  socket: Duplex
  /** Bytes received after the handshake. */
  head: Buffer
  requestId: string
  record: AccessRecord
  onOver: () => void
}

/** Fields that make up the 101; rules must not change them. */
const handshakeNames = /^(connection|upgrade|sec-websocket-.*)$/i

/** One WebSocket: the handshake, then bytes in both directions until either side ends. */
export class Upgrade implements Tunnel {
  readonly req: IncomingMessage
  readonly socket: Duplex
  /** Bytes behind the handshake, returned to the socket when the handshake is sent. */
  head: Buffer
  readonly requestId: string
  readonly #host: UpgradeHost
  readonly #record: AccessRecord
  readonly #onOver: () => void
  readonly #abort = new AbortController()
  readonly #accept: string | undefined
  #facts: NodeFacts | undefined
  #plan: ForwardPlan | undefined
  #lease: Lease | undefined
  #sentAt = 0
  #bytesBefore = { read: 0, written: 0 }
  #upstream: ClientRequest | undefined
  #retried = false
  #switched = false
  /** The instance's socket, and the position within its frames. */
  #instance: Duplex | undefined
  readonly #frames = new FrameBoundary()
  #restart: 'no' | 'due' | 'sent' = 'no'
  /** An HTTP answer is being sent to the client instead of a 101. */
  #refused = false
  #over = false

  constructor(host: UpgradeHost, { req, socket, head, requestId, record, onOver }: UpgradeArrival) {
    this.#host = host
    this.req = req
    this.socket = socket
    this.head = head
    this.requestId = requestId
    this.#record = record
    this.#onOver = onOver
    this.#accept = req.headers.accept
    socket.on('error', () => {})
    socket.once('close', () => this.#onClientClose())
    socket.on('readable', this.#watch)
    socket.once('end', () => {
      if (!this.#switched && !this.#refused) socket.destroy()
    })
  }

  // Before the switch nothing reads this socket, so a disconnect would go unnoticed. Reading while no data is buffered reveals the end;
  // early bytes stay buffered.
  readonly #watch = () => {
    if (this.socket.readableLength === 0) this.socket.read()
  }

  /** Asks the gate, then forwards the handshake or answers it. */
  start(accepted: AcceptedRequest, facts: NodeFacts, visitor: Visitor) {
    const { gate, table } = this.#host
    this.#facts = facts
    const route = table.find(facts.host)
    this.#record.route = route ?? null
    withResult(
      () => (route ? gate.admit(route, facts) : gate.admitUnknown(facts)),
      (admission) => this.#onAdmission(admission, accepted, visitor),
      (error) => this.#onBroken(error),
    )
  }

  #onAdmission(admission: Admission, accepted: AcceptedRequest, visitor: Visitor) {
    if (admission.kind === 'answer') return this.answer(admission.answer)
    if (admission.kind === 'problem') return this.fail(admission.problem)
    this.#plan = admission
    // Bytes of a tunnel cannot be stored or filtered.
    admission.filter?.abort()
    this.#record.route = admission.route
    if (this.#over) return
    const { outside } = admission
    const headers = forwardedHeaders(upstreamHeaders(this.req, accepted, visitor, this.requestId, true), admission)
    this.req.headers = headers as IncomingMessage['headers']
    if (outside) return this.#send(null, this.#host.upstreams.outside(outside, true))
    this.#acquire(admission.route, null)
  }

  #acquire(route: LiveRoute, avoid: TargetAsk['avoid']): void {
    const facts = this.#facts
    const { signal } = this.#abort
    const ask = { cookie: () => facts?.header('cookie'), secure: facts?.scheme === 'https', avoid, signal }
    withResult(
      () => this.#host.targets.acquire(route, ask),
      (result) => {
        if (!isLease(result)) return this.fail(result)
        if (this.#over) return result.done({ kind: 'client-left' })
        this.#send(result, this.#host.upstreams.of(result.target, true))
      },
      (error) => this.#onBroken(error),
    )
  }

  #send(lease: Lease | null, to: Destination): void {
    this.#lease = lease ?? undefined
    this.#record.instanceId = lease?.target.instanceId ?? null
    this.#sentAt = performance.now()
    this.#host.forwardUpgrade(this, to)
  }

  /** The upstream request exists and has not sent a byte. */
  onUpstream(upstream: ClientRequest): void {
    this.#upstream = upstream
    upstream.path = this.#plan?.target ?? this.req.url ?? '/'
    const limitMs = this.#plan ? silenceLimitMs(this.#plan, this.#host.limits) : this.#host.limits.upstreamTimeoutMs
    upstream.setTimeout(limitMs, () => upstream.destroy(new UpstreamSilence(`nothing received for ${limitMs} ms`)))
    // http-proxy adds its own listeners after this: they would send chunked framing for an already decoded body, and end the client's
    // socket before an asynchronous page is sent. Remove them in the next tick, before either event can occur.
    process.nextTick(() => {
      upstream.removeAllListeners('response').removeAllListeners('error')
      upstream.on('response', (answer) => this.#onRefused(answer))
      upstream.on('error', (error) => this.onError(error))
    })
    upstream.on('upgrade', (answer, upstreamSocket) => this.#onSwitched(answer, upstreamSocket))
  }

  /** The answer's headers for the client. */
  #clientPairs(pairs: [string, string][]): [string, string][] {
    const edited = editPairs(pairs, this.#plan?.responseHeaders ?? null)
    if (this.#lease?.setCookie) edited.push(['Set-Cookie', this.#lease.setCookie])
    edited.push(['X-Request-Id', this.requestId])
    return edited
  }

  // The instance answered with HTTP instead of switching: forward the answer and close the connection.
  #onRefused(answer: IncomingMessage): void {
    this.#refused = true
    this.#onHead(answer.statusCode ?? 502)
    const lines = [`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}`]
    for (const [name, value] of this.#clientPairs(toPairs(clientHeaders(answer)))) lines.push(`${name}: ${value}`)
    this.socket.write(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`, 'latin1')
    answer.on('error', () => this.socket.destroy())
    answer.on('aborted', () => this.socket.destroy())
    answer.once('close', () => this.#lingerAndEnd())
    answer.on('data', (chunk: Buffer) => {
      this.#record.bytesOut += chunk.length
    })
    answer.pipe(this.socket)
  }

  #onHead(status: number): void {
    this.#record.status = status
    this.#record.upstreamMs = performance.now() - this.#sentAt
  }

  #onSwitched(answer: IncomingMessage, upstreamSocket: Duplex): void {
    this.#switched = true
    this.#onHead(101)
    this.socket.off('readable', this.#watch)
    // http-proxy writes the headers from this object.
    const raw = toPairs(answer.rawHeaders).filter(([name]) => !/^x-(request-id$|switchyard-)/i.test(name))
    const handshake = raw.filter(([name]) => handshakeNames.test(name))
    const rest = this.#clientPairs(raw.filter(([name]) => !handshakeNames.test(name)))
    answer.headers = toRecord([...handshake, ...rest.filter(([name]) => !handshakeNames.test(name))]) as IncomingMessage['headers']
    const { bytesRead = 0, bytesWritten = 0 } = this.socket as Socket
    this.#bytesBefore = { read: bytesRead, written: bytesWritten }
    if (this.socket.destroyed) upstreamSocket.destroy()
    // http-proxy pipes both ways and forwards an orderly end; here a connection lost on one side also ends the other.
    bindEnds(this.socket, upstreamSocket, this.#host.limits.lingerMs)
    bindEnds(upstreamSocket, this.socket, this.#host.limits.lingerMs)
    this.#instance = upstreamSocket
    // Wait until http-proxy has put back the early bytes and pipes the socket: an earlier listener would consume them.
    process.nextTick(() => upstreamSocket.on('data', (bytes: Buffer) => this.#onInstanceBytes(upstreamSocket, bytes)))
    upstreamSocket.once('close', () => this.#end())
  }

  /** The instance behind the tunnel. */
  get instanceId(): string | null {
    return this.#switched ? this.#record.instanceId : null
  }

  #onInstanceBytes(instance: Duplex, bytes: Buffer): void {
    if (this.#restart === 'sent') return
    const after = this.#frames.take(bytes, 0, bytes.length, this.#restart === 'due')
    if (this.#restart !== 'due') return
    this.socket.write(bytes.subarray(0, after))
    if (this.#frames.between) this.#sendRestart(instance)
  }

  sendRestart(): void {
    const instance = this.#instance
    if (!instance || this.#restart !== 'no') return
    this.#restart = 'due'
    // From here on only #onInstanceBytes forwards the instance's bytes.
    instance.unpipe(this.socket)
    instance.resume()
    if (this.#frames.between) this.#sendRestart(instance)
  }

  // The client's reply, including its close frame, still reaches the instance.
  #sendRestart(instance: Duplex): void {
    this.#restart = 'sent'
    this.socket.end(restartFrame)
    const timer = setTimeout(() => {
      instance.destroy()
      this.socket.destroy()
    }, this.#host.limits.lingerMs)
    this.socket.once('close', () => clearTimeout(timer))
  }

  /** The upstream request failed. */
  onError(error: Error) {
    if (this.#switched || this.socket.destroyed || this.#refused) return this.#end()
    const fault = faultOf(error)
    if (this.#retry(fault)) return
    const fields = { requestId: this.requestId, host: this.#record.route?.host, upgrade: true, err: error }
    this.#host.log.warn(fields, `upgrade failed: ${fault}`)
    this.#release({ kind: 'fault', fault })
    if (this.#plan) this.fail(upstreamProblem(fault, this.#plan, this.#host.limits))
  }

  /** Makes a second attempt, once: only if nothing of the handshake was sent and another target exists. */
  #retry(fault: UpstreamFault): boolean {
    const avoid = this.#lease?.target
    if (this.#retried || avoid === undefined || !this.#plan || !sentNothing(fault)) return false
    const route = routeOfRetry(this.#host.table, this.#plan.route, avoid, fault)
    if (route === null) return false
    this.#retried = true
    this.head = Buffer.alloc(0)
    this.#release({ kind: 'fault', fault })
    this.#acquire(route, avoid)
    return true
  }

  #onBroken(error: unknown): void {
    this.#host.log.error({ requestId: this.requestId, upgrade: true, err: error }, 'the router failed to serve a handshake')
    this.refuse(internalProblem)
  }

  /** Answers with the router's error page. */
  fail(problem: Problem) {
    const facts = this.#facts
    if (!facts) return this.refuse(problem)
    // Set now: the caller may end the socket next.
    this.#refused = true
    withResult(
      () => this.#host.gate.problem(problem, this.#record.route, facts),
      (answer) => this.answer(answer),
      (error) => this.#onBroken(error),
    )
  }

  /** Answers a malformed head. */
  refuse(problem: Problem): void {
    const page = renderProblem(problem, { requestId: this.requestId, accept: this.#accept, dashboardUrl: this.#host.table.dashboardUrl })
    this.answer({ ...page, cache: 'none', why: problem.kind })
  }

  /** Writes an answer to the raw socket and closes it. */
  answer(answer: LocalAnswer): void {
    if (this.#switched || this.socket.destroyed) return
    this.#refused = true
    const record = this.#record
    Object.assign(record, { status: answer.status, cache: answer.cache, reason: answer.why })
    const { body } = answer
    this.socket.write(encodeAnswerHead(answer, this.requestId))
    if (isStreamed(body)) {
      const source = openBody(body)
      source.on('data', (chunk: Buffer) => {
        record.bytesOut += chunk.length
      })
      return void pipeline(source, this.socket, () => this.#lingerAndEnd())
    }
    record.bytesOut += body?.length ?? 0
    this.socket.end(body ?? undefined)
    this.#lingerAndEnd()
  }

  // Leaves the client a moment to read the answer and close.
  #lingerAndEnd(): void {
    this.#end()
    if (this.socket.destroyed) return
    const { lingerMs, clientIdleTimeoutMs } = this.#host.limits
    // Wait while the client still reads: the socket's own timer detects progress within one write.
    const timer = setInterval(() => this.socket.writableLength === 0 && this.socket.destroy(), lingerMs)
    this.socket.once('close', () => clearInterval(timer))
    if (this.socket instanceof Socket) this.socket.setTimeout(clientIdleTimeoutMs, () => this.socket.destroy())
  }

  /** Closes the connection at once, and counts it as cut. */
  destroy(): void {
    this.#end()
    this.socket.destroy()
  }

  #onClientClose(): void {
    if (this.#switched) return
    this.#upstream?.destroy()
    this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#abort.abort()
    const record = this.#record
    if (this.#switched) {
      const { bytesRead = 0, bytesWritten = 0 } = this.socket as Socket
      record.bytesIn = bytesRead - this.#bytesBefore.read
      record.bytesOut = bytesWritten - this.#bytesBefore.written
    }
    if (record.status === 0) record.reason ??= 'client-left'
    this.#release(record.upstreamMs === null ? { kind: 'client-left' } : { kind: 'answered', status: record.status, headMs: record.upstreamMs })
    record.end()
    this.#onOver()
  }

  #release(outcome: Outcome): void {
    const lease = this.#lease
    this.#lease = undefined
    lease?.done(outcome)
  }
}

/** When `from` closes, `to` follows: after its last bytes when the end was orderly, at once when it was not. */
function bindEnds(from: Duplex, to: Duplex, lingerMs: number): void {
  from.once('close', () => {
    if (!from.readableEnded) return void to.destroy()
    if (to.destroyed) return
    const timer = setTimeout(() => to.destroy(), lingerMs)
    to.once('close', () => clearTimeout(timer))
  })
}
