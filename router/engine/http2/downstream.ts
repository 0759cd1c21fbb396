import type { Readable } from 'node:stream'
import type { ForwardPlan, HeaderEdits, LocalAnswer, StreamedBody } from '../../gate/gate'
import type { HostTable } from '../../match/host-table'
import type { Downstream, RequestBody } from '../downstream'
import { Exchange, type ExchangeHost } from '../exchange'
import { mayTrail } from '../headers/trailers'
import { visitorBehind } from '../headers/visitor'
import type { AnswerHead } from '../http1/parse/answer-head'
import type { Outbox } from '../io/slab'
import { enoughOf, Upload } from '../upload'
import { encodeAnswerHead, encodedContinue, encodeEarlyHints, encodeLocalHead, encodeTrailers } from './answer-fields'
import { H2Facts } from './facts'
import { type Field, FieldKind } from './hpack/field'
import { type ClientInfo, type LastHost, refusalOf, writeRequestHead } from './request'
import type { RequestHead } from './request-head'
import type { H2Stream, RequestTaker } from './stream'
import { asksForWebSocket, encodeSwitch, Handshake } from './websocket'

/**
 * One stream as the downstream of an `Exchange`: the request as HTTP/1.1 for the instance, the answer as HTTP/2 for the client. Reused for
 * later requests, also of other connections.
 */
export class H2Downstream implements Downstream, RequestTaker {
  readonly facts = new H2Facts()
  /** WebSocket handshake of an extended CONNECT; null: an ordinary request. */
  #handshake: Handshake | null = null
  body: RequestBody = 'none'
  contentLength = -1
  readonly #exchange: Exchange
  readonly #release: (downstream: H2Downstream) => void
  #stream: H2Stream | null = null
  #head: RequestHead | null = null
  #forwarded: Buffer = nothing
  #forwarding = false
  // Request body received before an instance was chosen.
  #early: Buffer[] = []
  #earlyBytes = 0
  #ended = false
  /** The stream is a WebSocket tunnel. */
  #tunnel = false
  readonly #upload = new Upload()
  #trailers: readonly Field[] | null = null
  // The answer's head and the latest piece of its body are held until the end of the event-loop turn: the end of the stream may follow.
  readonly #fields: Buffer[] = []
  #bytes: Buffer | null = null
  #start = 0
  #end = 0
  #answerTrailers: Buffer[] | null = null
  #source: Readable | null = null
  // Byte counts of a stream that has ended.
  #bytesIn = 0
  #bytesOut = 0

  /** `release` is called when this object may serve another request. */
  constructor(host: ExchangeHost, release: (downstream: H2Downstream) => void) {
    this.#exchange = new Exchange(host, this)
    this.#release = release
  }

  get protocol(): Downstream['protocol'] {
    return this.#handshake === null ? 'h2' : 'websocket'
  }

  get wantsUpgrade(): boolean {
    return this.#handshake !== null
  }

  get bytesIn(): number {
    return this.#stream?.bytesIn ?? this.#bytesIn
  }

  get bytesOut(): number {
    let held = this.#bytes === null ? 0 : this.#end - this.#start
    for (const field of this.#fields) held += field.length
    return (this.#stream === null ? this.#bytesOut : givenTo(this.#stream)) + held
  }

  /** Begins with a request; `tooLarge`: some of its fields are missing. */
  begin(stream: H2Stream, head: RequestHead, tooLarge: boolean, client: ClientInfo, last: LastHost, table: HostTable): void {
    this.#stream = stream
    stream.taker = this
    this.#head = head
    this.#forwarding = false
    this.#ended = false
    this.#trailers = null
    this.#tunnel = false
    this.#handshake = asksForWebSocket(head) ? new Handshake() : null
    const { facts } = this
    facts.take(head, client.visitor)
    if (client.trusts !== null) facts.visitor = visitorBehind(client.address, client.trusts, (name) => facts.header(name))
    this.contentLength = head.contentLength
    this.body = this.wantsUpgrade || head.endStream || head.contentLength === 0 ? 'none' : head.contentLength > 0 ? 'length' : 'chunked'
    if (this.body !== 'none') this.#upload.begin()
    const refusal = refusalOf(head, tooLarge, last, table, client)
    if (refusal !== null) {
      this.#exchange.refuse(refusal)
      return
    }
    facts.host = last.host
    this.#forwarded = client.trusts === null || facts.visitor === null ? last.forwarded : last.forwardedOf(facts.visitor)
    if (head.path === '*') this.#exchange.answerOptions()
    else this.#exchange.start(last.route)
  }

  // RequestTaker: receives the request.

  takeBody(bytes: Buffer): boolean {
    if (this.#tunnel) return this.#exchange.upstream.sendTunnel(bytes, 0, bytes.length)
    if (!this.#forwarding || this.#handshake !== null) {
      this.#early.push(bytes)
      this.#earlyBytes += bytes.length
      if (!this.#upload.held) return false
      if (this.#earlyBytes < enoughOf(this.contentLength)) return true
      this.#upload.goOn()
      return false
    }
    this.#exchange.upstream.sendBody(bytes, 0, bytes.length)
    return this.#exchange.upstream.flush()
  }

  takeEnd(trailers: readonly Field[] | null): void {
    this.#ended = true
    this.#trailers = trailers
    this.#upload.over()
    if (this.#tunnel) this.#exchange.upstream.endTunnel()
    else if (this.#forwarding) this.#endBody()
  }

  #endBody(): void {
    if (this.body === 'none') return
    const pairs: [string, string][] = []
    // Trailers must not contain fields for framing or routing (RFC 9110 §6.5.1).
    for (const { kind, name, value } of this.#trailers ?? []) if (kind === FieldKind.regular && mayTrail(name)) pairs.push([name, value])
    this.#exchange.upstream.endBody(pairs.length > 0 ? pairs : null)
    this.#exchange.upstream.flush()
  }

  onAbort(): void {
    this.#detach()
    this.#exchange.clientLeft()
    this.#over()
  }

  // A WebSocket handshake has no body to wait for.
  onSilence(): void {
    if (this.body !== 'none') this.#exchange.clientSilent()
  }

  onSent(): void {
    if (this.#source !== null) this.#source.resume()
    else this.#exchange.upstream.resumeAnswer()
  }

  // Downstream: sends the request to the instance.

  writeHead(out: Outbox, plan: ForwardPlan): void {
    const words = { chunked: this.body === 'chunked', handshake: this.#handshake, forwarded: this.#forwarded, requestId: this.facts.id }
    writeRequestHead(out, this.#head as RequestHead, plan, words)
  }

  // Only for bodies of known length: a body of unknown length may be one half of a conversation (gRPC).
  untilWorthAsking(): Promise<void> | null {
    if (!this.#upload.early || this.body !== 'length' || this.#earlyBytes >= enoughOf(this.contentLength)) return null
    // Take more of the body while the decision is pending: it may exceed what has arrived so far.
    this.#stream?.resume()
    return this.#upload.hold()
  }

  onForwarding(): void {
    const stream = this.#stream
    this.#forwarding = true
    this.#earlyBytes = 0
    if (stream === null || this.body === 'none') return
    if (this.#early.length === 0 && this.facts.header('expect') !== undefined) stream.inform(encodedContinue)
    const early = this.#early
    this.#early = []
    for (const bytes of early) this.#exchange.upstream.sendBody(bytes, 0, bytes.length)
    if (this.#stream !== stream) return // more than the project allows
    if (this.#ended) this.#endBody()
    else if (this.#exchange.upstream.flush()) stream.resume()
  }

  onDrain(): void {
    this.#stream?.resume()
  }

  // Downstream: receives the answer.

  onInformation(head: AnswerHead): void {
    const fields = encodeEarlyHints(head)
    if (fields !== null) this.#stream?.inform(fields)
  }

  onHead(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void {
    encodeAnswerHead(this.#fields, head, edits, setCookie, this.facts.id)
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (end === start || this.facts.method === 'HEAD') return
    this.onFlush()
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  onFlush(): void {
    const stream = this.#stream
    if (stream === null) return
    this.#sendHead(stream, false)
    if (this.#bytes !== null && !this.#sendRun(stream, false)) this.#exchange.upstream.pauseAnswer()
  }

  #sendHead(stream: H2Stream, last: boolean): void {
    if (this.#fields.length === 0) return
    stream.respond(this.#fields, last)
    this.#fields.length = 0
  }

  #sendRun(stream: H2Stream, last: boolean): boolean {
    const bytes = this.#bytes as Buffer
    this.#bytes = null
    return stream.write(bytes, this.#start, this.#end, last)
  }

  onTrailers(trailers: [string, string][]): void {
    this.#answerTrailers = encodeTrailers(trailers)
  }

  onEnd(): void {
    const stream = this.#detach()
    if (stream !== null) {
      const trailers = this.#answerTrailers
      const alone = this.#bytes === null && trailers === null
      const empty = alone && this.#fields.length > 0
      this.#sendHead(stream, empty)
      if (this.#bytes !== null) this.#sendRun(stream, trailers === null)
      if (trailers !== null || (alone && !empty)) stream.end(trailers)
    }
    this.#over()
  }

  onSwitch(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void {
    const stream = this.#stream
    if (stream === null || this.#handshake?.isAccepted(head) !== true) return void this.#exchange.switchRefused()
    this.#tunnel = true
    encodeSwitch(this.#fields, head, edits, setCookie, this.facts.id)
    this.onFlush()
    const early = this.#early
    this.#early = []
    let ready = true
    for (const bytes of early) ready = this.#exchange.upstream.sendTunnel(bytes, 0, bytes.length)
    if (this.#ended) this.#exchange.upstream.endTunnel()
    else if (ready) stream.resume()
  }

  // The instance has half-closed, which ends both directions (RFC 6455 §7.1.1: the server closes first).
  onTunnelEnd(): void {
    this.onFlush()
    this.#detach()?.end(null)
    this.#exchange.clientLeft()
    this.#over()
  }

  answer(answer: LocalAnswer): void {
    const stream = this.#stream
    if (stream === null) return
    const { body } = answer
    const bodyless = body === null || this.facts.method === 'HEAD' || answer.status === 204 || answer.status === 304
    const fields = encodeLocalHead(answer, this.facts.id)
    if (bodyless || Buffer.isBuffer(body)) {
      const bytes = bodyless ? nothing : (body as Buffer)
      this.#detach()
      stream.respond(fields, bytes.length === 0)
      if (bytes.length > 0) stream.write(bytes, 0, bytes.length, true, true)
      this.#count(stream)
      this.#exchange.localDone()
      this.#over()
    } else {
      stream.respond(fields, false)
      this.#pour(stream, body as StreamedBody)
    }
  }

  #pour(stream: H2Stream, body: StreamedBody): void {
    const source = body.open() as Readable
    this.#source = source
    const mine = () => this.#stream === stream && this.#source === source
    source.on('data', (chunk: Buffer) => {
      if (mine() && !stream.write(chunk, 0, chunk.length, false)) source.pause()
    })
    source.on('end', () => {
      if (!mine()) return
      this.#source = null
      this.#detach()
      stream.end(null)
      this.#count(stream)
      this.#exchange.localDone()
      this.#over()
    })
    const broken = () => {
      if (!mine()) return
      this.#exchange.clientLeft()
      this.abort()
    }
    source.on('error', broken)
    source.on('close', broken)
  }

  abort(): void {
    this.#detach()?.reset()
    this.#over()
  }

  /** Separates this object from its stream, which sends its pending bytes by itself. */
  #detach(): H2Stream | null {
    const stream = this.#stream
    if (stream === null) return null
    this.#count(stream)
    this.#stream = null
    stream.taker = null
    return stream
  }

  #count(stream: H2Stream): void {
    this.#bytesIn = stream.bytesIn
    this.#bytesOut = givenTo(stream)
  }

  #over(): void {
    if (this.#head === null) return
    this.#head = null
    this.#upload.over()
    this.#earlyBytes = 0
    // A pending decision must not read the facts of another request: this object then serves no other.
    const free = this.#exchange.undecided === 0
    if (free) this.facts.drop()
    this.#forwarded = nothing
    if (this.#early.length > 0) this.#early = []
    this.#trailers = null
    this.#fields.length = 0
    this.#bytes = null
    this.#answerTrailers = null
    const source = this.#source
    this.#source = null
    source?.destroy()
    if (free) this.#release(this)
  }
}

const nothing = Buffer.alloc(0)

/** Bytes of the answer that the client has received or will receive from the stream's queue. */
const givenTo = (stream: H2Stream): number => stream.bytesOut + stream.pendingBytes
