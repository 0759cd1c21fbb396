import type net from 'node:net'
import type { TrustedProxies } from '@/shared/node/trusted-proxies'
import type { ForwardPlan, HeaderEdits, LocalAnswer } from '../../gate/gate'
import type { Downstream, RequestBody } from '../downstream'
import { Exchange, type ExchangeHost } from '../exchange'
import { type ClientAddress, directVisitor, type Visitor, visitorBehind } from '../headers/visitor'
import type { Clock } from '../io/clock'
import { cut } from '../io/cut'
import type { Outbox } from '../io/slab'
import { isEnough, Upload } from '../upload'
import { quietProbeMs } from '../upstream/faults'
import type { AnswerContext } from './answer-writer'
import { type AnswersOwner, ClientAnswers } from './answers'
import { HeadFacts, parsedHead } from './head-facts'
import { KnownHost } from './known-host'
import type { AnswerHead } from './parse/answer-head'
import { notHost, notHttp, parseRequestHead, type RequestHead } from './parse/request-head'
import { CR, LF } from './parse/tables'
import { RequestFrame } from './request-body'
import { writeRequestHead } from './request-writer'

/** The parts of an engine that a connection uses. */
export interface ClientHost extends ExchangeHost {
  readonly clock: Clock
  closed(connection: object): void
}

// The states of a connection, in this order: `>= closing` means that the connection is over.
const idle = 0
/** Receiving the body of a request. */
const receiving = 1
/** The request is complete, its answer is not. */
const waiting = 2
/** The answer ended before the request's body: the rest of the body is discarded. */
const dropping = 3
const tunnel = 4
/** Nothing more is sent; the client gets a moment to read and close. */
const closing = 5
const dead = 6

/** Pipelined bytes kept while a request is under way; reading stops beyond them. */
const maxPipelined = 65_536
/** Time for a client that half-closed to receive its answer: it cannot be distinguished from a client that disconnected. */
const halfCloseGraceMs = 1_000

/** Shared by all connections: set before each head is written. */
const context: AnswerContext = { isHead: false, old: false, close: false, keepAliveLine: false, requestId: Buffer.alloc(0) }

/** One HTTP/1 connection of a client: its requests one after the other, its answers in the same order. */
export class ClientConnection implements Downstream, AnswersOwner {
  readonly socket: net.Socket
  readonly facts: HeadFacts
  readonly exchange: Exchange
  protocol: Downstream['protocol'] = 'http/1.1'
  body: RequestBody = 'none'
  contentLength = 0
  wantsUpgrade = false
  bytesIn = 0
  readonly #host: ClientHost
  readonly #answers: ClientAnswers
  readonly #known: KnownHost
  readonly #address: ClientAddress
  /** The connection's own client. */
  readonly #client: Visitor
  /** Set when the client is a trusted proxy: each request names its visitor. */
  readonly #trusts: TrustedProxies | null
  readonly #frame = new RequestFrame()
  readonly #upload = new Upload()
  #state = idle
  /** Clock time at which the current state, or the silence in it, began. */
  #since: number
  #settled = false
  #expectsContinue = false
  /** The connection ends after this answer. */
  #close = false
  /** HTTP/1.0. */
  #old = false
  /** HTTP/1.0 with `Connection: keep-alive`. */
  #keepOld = false
  /** Received bytes that were not parsed yet, in separate memory. */
  #pending: Buffer | null = null
  /** A caller further up the stack is parsing: pending bytes wait for it. */
  #taking = false
  #paused = false
  /** The exchange accepts the body. */
  #ready = false
  /** The client half-closed the connection. */
  #ended = false

  constructor(host: ClientHost, socket: net.Socket, address: ClientAddress, trusts: TrustedProxies | null) {
    this.#host = host
    this.socket = socket
    this.#since = host.clock.now
    this.#address = address
    this.#client = directVisitor(address)
    this.#trusts = trusts
    this.#known = new KnownHost(this.#client)
    this.facts = new HeadFacts(this.#client)
    this.#answers = new ClientAnswers(socket, this, host.limits.clientIdleTimeoutMs)
    this.exchange = new Exchange(host, this)
    socket.on('drain', () => this.#drained())
    socket.on('end', () => this.#clientEnded())
    socket.on('error', () => {})
    socket.on('timeout', () => {
      if (socket.writableLength > 0) this.#cut()
    })
    socket.on('close', () => {
      this.#state = dead
      this.#upload.over()
      this.#answers.dropSource()
      this.exchange.clientLeft()
      host.closed(this)
    })
  }

  get bytesOut(): number {
    return this.#answers.bytesOut
  }

  /** Number of requests and tunnels that closing the connection now would interrupt. */
  get openCount(): number {
    return this.exchange.open ? 1 : 0
  }

  /** Another protocol uses the socket from now on. */
  leave(): void {
    this.#state = dead
  }

  // Receiving bytes.

  /** Receives bytes from the socket: a view of a reused buffer. */
  receive(bytes: Buffer, size: number) {
    if (this.#state >= closing) return
    // The head timeout runs from the first byte of a head; in other states each byte resets the timeout.
    if (this.#state !== idle || this.#pending === null) this.#since = this.#host.clock.now
    if (this.#state === tunnel) return this.#takeTunnel(bytes, size)
    if (this.#pending === null) return this.#take(bytes, 0, size, false)
    const grown = Buffer.concat([this.#pending, bytes.subarray(0, size)])
    this.#pending = grown
    // An incomplete head is parsed again only when another line has ended.
    const worth = this.#state !== idle || grown.length > this.#host.limits.maxHeaderBytes || bytes.subarray(0, size).includes(LF)
    if (worth) this.#takePending()
    else if (grown.length > maxPipelined) this.#pause()
  }

  #takePending(): void {
    const bytes = this.#pending
    if (bytes === null || this.#taking) return
    this.#pending = null
    this.#take(bytes, 0, bytes.length, true)
  }

  /** `own`: the bytes are in separate memory and may be kept. */
  #take(bytes: Buffer, start: number, end: number, own: boolean): void {
    this.#taking = true
    let at = start
    while (at < end) {
      if (this.#state === idle && !this.socket.writableNeedDrain) {
        const after = this.#takeHead(bytes, at, end)
        if (after === at) break
        at = after
      } else if (this.#state === receiving && this.#ready) at = this.#takeBody(bytes, at, end)
      else if (this.#state === dropping) at = this.#dropBody(bytes, at, end)
      else break
    }
    this.#taking = false
    if (this.#ready && this.body !== 'none' && (this.#state === receiving || this.#state === waiting)) this.#flushBody()
    if (at < end && this.#state < closing) this.#keep(bytes, at, end, own)
    // The client half-closed: the rest of an incomplete head will never arrive.
    if (this.#state === idle && this.#ended) this.#finish()
  }

  #keep(bytes: Buffer, at: number, end: number, own: boolean): void {
    this.#pending = own ? bytes.subarray(at, end) : Buffer.from(bytes.subarray(at, end))
    if (this.#state !== idle && this.#pending.length > maxPipelined) this.#pause()
    if (this.#upload.held && isEnough(this.#pending, this.body, this.contentLength)) this.#upload.goOn()
  }

  #takeTunnel(bytes: Buffer, size: number): void {
    this.bytesIn += size
    if (!this.exchange.upstream.sendTunnel(bytes, 0, size)) this.#pause()
  }

  #flushBody(): void {
    if (!this.exchange.upstream.flush() && this.#state === receiving) this.#pause()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#since = this.#host.clock.now
    this.socket.resume()
  }

  // Request heads and bodies.

  /** Parses a head. Returns the offset after it, or `at` when bytes are missing. */
  #takeHead(bytes: Buffer, at: number, end: number): number {
    let start = at
    // RFC 9112 §2.2: ignore empty lines before a request line.
    while (start + 1 < end && bytes[start] === CR && bytes[start + 1] === LF) start += 2
    if (start === end) return end
    if (start + 1 === end && bytes[start] === CR) return at
    const after = parseRequestHead(parsedHead, bytes, start, end, this.#host.limits)
    if (after === 0) return at
    this.#begin()
    if (after < 0) {
      this.facts.takeNothing()
      this.#refuse()
      return end
    }
    this.bytesIn = after - start
    this.#request(bytes)
    return after
  }

  #begin(): void {
    this.#answers.begin()
    this.facts.visitor = this.#client
    this.#state = waiting
    this.#since = this.#host.clock.now
    this.#settled = false
    this.#ready = false
    this.protocol = 'http/1.1'
    this.body = 'none'
    this.wantsUpgrade = false
    this.#expectsContinue = false
    this.#old = false
    this.#keepOld = false
    this.bytesIn = 0
  }

  #refuse(): void {
    const { status, detail } = parsedHead.refusal ?? notHttp
    this.#close = true
    this.exchange.refuse({ kind: 'bad-request', status, detail })
  }

  #request(bytes: Buffer) {
    const head = parsedHead
    const known = this.#known
    if (head.hostStart !== -1) known.read(this.#host.table, bytes, head.hostStart, head.hostEnd)
    if (head.hostStart === -1) this.facts.take(bytes, '', '')
    else this.facts.take(bytes, known.name, known.authority)
    if (this.#trusts !== null) this.facts.visitor = visitorBehind(this.#address, this.#trusts, (name) => this.facts.header(name))
    if (head.refusal === null && known.name === '') head.refusal = notHost
    if (head.refusal !== null) return this.#refuse()
    this.#readRequest(head)
    if (head.hasBody) {
      this.#state = receiving
      this.#upload.begin()
      this.#frame.begin(head)
    }
    if (head.targetEnd - head.targetStart === 1 && bytes[head.targetStart] === 42) return this.exchange.answerOptions()
    this.exchange.start(known.route)
  }

  #readRequest(head: RequestHead): void {
    this.#old = head.minor === 0
    this.#keepOld = this.#old && head.keepAlive
    this.#close = head.close || (this.#old && !head.keepAlive)
    this.#expectsContinue = head.expectsContinue
    this.wantsUpgrade = head.upgrade
    if (this.#old) this.protocol = 'http/1.0'
    else if (head.upgrade) this.protocol = 'websocket'
    this.contentLength = head.contentLength
    if (head.hasBody) this.body = head.chunked ? 'chunked' : 'length'
  }

  /** Parses a part of a body and passes it to the exchange. Returns the offset after it. */
  #takeBody(bytes: Buffer, at: number, end: number): number {
    const frame = this.#frame
    const after = frame.take(bytes, at, end)
    if (after < 0 || frame.done) this.#upload.over()
    if (after < 0) {
      this.#close = true
      this.#state = waiting
      this.exchange.clientBroken()
      return end
    }
    this.bytesIn += after - at
    if (frame.done) this.#state = waiting
    if (frame.to > frame.from) this.exchange.upstream.sendBody(bytes, frame.from, frame.to)
    if (frame.done) this.exchange.upstream.endBody(frame.trailers)
    return after
  }

  /** Parses a part of a body and discards it. Returns the offset after it. */
  #dropBody(bytes: Buffer, at: number, end: number): number {
    const after = this.#frame.take(bytes, at, end)
    if (after < 0) {
      this.#finish()
      return end
    }
    if (this.#frame.done) this.#next()
    return after
  }

  #clientEnded() {
    this.#ended = true
    this.#since = this.#host.clock.now
    if (this.#state === tunnel) return this.exchange.upstream.endTunnel()
    // Nothing more will be sent: the socket closes itself after the last bytes.
    if (this.#state === idle || this.#state === dropping || this.#state === closing) return this.#finish()
    // A client that sent its whole request may half-close and wait for the answer.
    if (this.#state !== waiting || !this.exchange.open) this.destroy()
  }

  // Downstream: called by the exchange.

  writeHead(out: Outbox, plan: ForwardPlan): void {
    const bytes = this.facts.lend(this.#host.limits)
    const forwarded = this.#trusts === null ? this.#known.forwarded : this.#known.forwardedOf(this.facts.visitor)
    writeRequestHead(out, bytes, parsedHead, plan, forwarded, this.facts.id)
  }

  untilWorthAsking(): Promise<void> | null {
    if (!this.#upload.early || isEnough(this.#pending, this.body, this.contentLength)) return null
    this.#sayContinue()
    return this.#upload.hold()
  }

  #sayContinue(): void {
    if (!this.#expectsContinue) return
    this.#expectsContinue = false
    this.#answers.sayContinue()
  }

  onForwarding(): void {
    this.#ready = true
    this.#sayContinue()
    if (this.#taking) return
    // The decision took some time; the bytes received in the meantime belong to the body.
    if (this.body !== 'none' && this.#pending === null) this.#flushBody()
    this.#resume()
    this.#takePending()
  }

  onDrain(): void {
    if (this.#state === receiving || this.#state === tunnel) this.#resume()
  }

  #context(): AnswerContext {
    // After a final answer instead of "100 Continue" the client may or may not send its body, so the start of the next request is unknown.
    if (this.#host.draining || this.#ended || this.wantsUpgrade || this.#expectsContinue) this.#close = true
    context.isHead = this.facts.method === 'HEAD'
    context.old = this.#old || this.wantsUpgrade
    context.close = this.#close
    context.keepAliveLine = this.#keepOld
    context.requestId = this.facts.id
    return context
  }

  onInformation(head: AnswerHead): void {
    if (!this.#old) this.#answers.earlyHints(head)
  }

  onHead(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void {
    this.#answers.head(head, edits, setCookie, this.#context())
    if (this.#answers.endsByClose) this.#close = true
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (this.#state === tunnel) this.#answers.raw(bytes, start, end)
    else this.#answers.body(bytes, start, end)
  }

  onTrailers(trailers: [string, string][]): void {
    this.#answers.trailers(trailers)
  }

  onFlush(): void {
    // After a half-close, progress of the answer resets the timeout.
    if (this.#ended) this.#since = this.#host.clock.now
    if (!this.#answers.flush()) this.exchange.upstream.pauseAnswer()
  }

  onEnd(): void {
    this.#answers.end()
    this.#answered()
  }

  onSwitch(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void {
    this.#state = tunnel
    this.#answers.switched(head, edits, setCookie, this.facts.id)
    // A WebSocket may be silent for hours: TCP keep-alive detects a lost peer.
    this.socket.setKeepAlive(true, quietProbeMs)
    const early = this.#pending
    this.#pending = null
    this.#resume()
    if (early !== null) this.#takeTunnel(early, early.length)
    if (this.#ended) this.exchange.upstream.endTunnel()
  }

  onTunnelEnd(): void {
    this.#answers.flush()
    this.#since = this.#host.clock.now
    this.#ended = true
    this.socket.end()
  }

  /** Sends what arrived of the answer, then breaks the connection so that the answer looks incomplete. */
  abort(): void {
    this.#answers.flush()
    if (this.#answers.endsByClose) this.socket.resetAndDestroy()
    this.destroy()
  }

  answer(answer: LocalAnswer): void {
    if (answer.close) this.#close = true
    const whole = this.#answers.local(answer, this.#context())
    if (this.#answers.endsByClose) this.#close = true
    if (whole) this.onStreamed()
  }

  onStreamed(): void {
    this.exchange.localDone()
    this.#answered()
  }

  // After an answer.

  #answered() {
    this.#upload.over()
    if (this.#state >= closing) return
    if (this.#close) return this.#finish()
    if (this.#state !== receiving) return this.#next()
    this.#state = dropping
    this.#since = this.#host.clock.now
    this.#resume()
    this.#takePending()
  }

  #next(): void {
    this.#state = idle
    this.#since = this.#host.clock.now
    if (this.#taking || this.socket.writableNeedDrain) return
    this.#takePending()
    if (this.#state !== idle) return
    if (this.#ended) this.#finish()
    else this.#resume()
  }

  /** Half-closes and waits a moment for the client to close: closing at once could reset bytes that are still under way. */
  #finish(): void {
    if (this.#state >= closing) return
    this.#state = closing
    this.#since = this.#host.clock.now
    this.#pending = null
    this.#answers.flush()
    this.socket.end()
    // Read and discard further bytes.
    this.#resume()
  }

  /** Closes the connection if no request is in progress. */
  endIdle(): void {
    if (this.#state === idle && this.#pending === null) this.#finish()
  }

  destroy(): void {
    this.#state = dead
    this.#answers.discard()
    this.socket.destroy()
  }

  #cut(): void {
    this.#state = dead
    this.#answers.discard()
    cut(this.socket)
  }

  #drained(): void {
    this.#answers.drained()
    this.exchange.upstream.resumeAnswer()
    if (this.#state === idle && !this.#taking) this.#next()
  }

  // Timeouts.

  /** Called every tick: closes the connection after its timeout. */
  watch() {
    const { clock, limits } = this.#host
    if (this.#state === idle) {
      if (this.#pending === null) {
        if (clock.passed(this.#since, limits.keepAliveMs)) this.#finish()
      } else if (clock.passed(this.#since, limits.clientHeadTimeoutMs)) this.#headTooLate()
    } else if (this.#state === receiving || this.#state === waiting) this.#watchRequest(clock)
    else if (this.#state !== tunnel || this.#ended) this.#watchEnd(clock)
  }

  #watchEnd(clock: Clock): void {
    // A client that still reads its answer is not silent; the socket's own timer applies (see `ClientAnswers.flush`).
    if (this.#answers.stalled && this.socket.writableLength > 0) this.#since = clock.now
    else if (clock.passed(this.#since, this.#host.limits.lingerMs)) this.destroy()
  }

  #watchRequest(clock: Clock) {
    const { limits } = this.#host
    const expected = this.#ready || this.#upload.held
    if (this.#state === receiving && expected && !this.#paused && clock.passed(this.#since, limits.clientIdleTimeoutMs)) {
      this.#close = true
      return this.exchange.clientSilent()
    }
    if (this.#ended && !this.#answers.stalled && clock.passed(this.#since, halfCloseGraceMs)) return this.destroy()
    if (!this.#settled && this.exchange.open && clock.passed(this.#since, 0)) {
      this.#settled = true
      this.exchange.settle()
      // TCP keep-alive detects a client that disconnected while it waits for a slow answer.
      this.socket.setKeepAlive(true, quietProbeMs)
    }
  }

  #headTooLate(): void {
    this.#begin()
    this.#pending = null
    this.#close = true
    this.facts.takeNothing()
    this.exchange.refuse({ kind: 'bad-request', status: 408, detail: 'The request head did not arrive in time.' })
  }
}
