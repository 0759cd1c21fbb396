import type net from 'node:net'
import type { ForwardPlan, HeaderEdits, LocalAnswer } from '../../gate/gate'
import { parseAuthority } from '../../match/host'
import type { HostTable, LiveRoute } from '../../match/host-table'
import {
  type AnswerContext,
  chunked,
  untilClose,
  writeAnswerHead,
  writeBody,
  writeBodyEnd,
  writeEarlyHints,
  writeLocalHead,
  writeSwitch,
} from './answer-writer'
import type { Clock } from './clock'
import { Exchange, type ExchangeHost } from './exchange'
import type { Front, RequestBody } from './front'
import { HeadFacts, parsedHead } from './head-facts'
import type { AnswerHead } from './parse/answer-head'
import { ChunkScanner } from './parse/chunked'
import { notHttp, parseRequestHead } from './parse/request-head'
import { CR, LF } from './parse/tables'
import { forwardedLines, writeRequestHead } from './request-writer'
import { Outbox } from './slab'

/** What a connection needs of its engine. */
export interface ClientHost extends ExchangeHost {
  readonly clock: Clock
  closed(connection: ClientConnection): void
}

/** Who is at the other end, as the kernel or the PROXY protocol says it. */
export interface ClientAddress {
  ip: string
  localPort: number
  secure: boolean
}

const idle = 0
/** A request's body is coming. */
const receiving = 1
/** The request is whole, its answer is not. */
const waiting = 2
/** Answered before its body ended: the rest is dropped. */
const dropping = 3
const tunnel = 4
/** Nothing more is sent; the client gets a moment to read and close. */
const closing = 5
const dead = 6

const continueLine = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')
/** Pipelined bytes kept while a request is under way; beyond them reading stops. */
const mostPipelined = 65_536
/** A body of ours below this is copied behind its head, a larger one is written beside it. */
const smallBody = 16_384
/** How long a client that said its last byte gets to receive its answer before it counts as gone: one cannot be told from the other. */
const halfCloseGraceMs = 1_000
const nothing = Buffer.alloc(0)

/** One HTTP/1 connection of a client: its requests one after the other, its answers in the same order. */
export class ClientConnection implements Front {
  readonly socket: net.Socket
  readonly facts: HeadFacts
  protocol: Front['protocol'] = 'http/1.1'
  body: RequestBody = 'none'
  contentLength = 0
  wantsUpgrade = false
  bytesIn = 0
  readonly exchange: Exchange
  readonly #host: ClientHost
  readonly #out: Outbox
  readonly #address: ClientAddress
  #state = idle
  /** Received and not yet looked at; our own memory. */
  #pending: Buffer | null = null
  #processing = false
  #paused = false
  /** The body may be given to the exchange. */
  #ready = false
  #left = 0
  #chunks: ChunkScanner | null = null
  #expectsContinue = false
  #close = false
  #old = false
  #keepOld = false
  #framing = 0
  #trailers: [string, string][] | null = null
  #source: NodeJS.ReadableStream | null = null
  #sentBefore = 0
  #stalled = false
  #ended = false
  #settled = false
  /** Clock time at which the present state, or the silence in it, began. */
  #since: number
  #hostBytes: Buffer = nothing
  #hostName = ''
  #table: HostTable | null = null
  #route: LiveRoute | null = null
  #forwarded: Buffer = nothing

  constructor(host: ClientHost, socket: net.Socket, address: ClientAddress) {
    this.#host = host
    this.socket = socket
    this.#address = address
    this.#since = host.clock.now
    this.facts = new HeadFacts(address.secure ? 'https' : 'http', address.ip)
    this.#out = new Outbox(socket)
    this.exchange = new Exchange(host, this)
    socket.on('drain', () => this.#drained())
    socket.on('end', () => this.#clientEnded())
    socket.on('error', () => {})
    socket.on('timeout', () => {
      if (socket.writableLength > 0) this.destroy()
    })
    socket.on('close', () => {
      this.#state = dead
      this.#dropSource()
      this.exchange.clientLeft()
      host.closed(this)
    })
  }

  get bytesOut(): number {
    return this.#out.sent + this.#out.gathered - this.#sentBefore
  }

  /** No request is under way, none has begun. */
  get isIdle(): boolean {
    return this.#state === idle && this.#pending === null
  }

  /** Another protocol has the socket from now on. */
  leave(): void {
    this.#state = dead
  }

  /** Requests and tunnels that a cut now would break. */
  get openCount(): number {
    return this.exchange.open ? 1 : 0
  }

  // ── what the client says ──

  /** Bytes from the socket: a view that is used again. */
  receive(bytes: Buffer, size: number) {
    if (this.#state >= closing) return
    if (this.#state === waiting || this.#state === idle || this.#pending !== null) this.#noteBegin()
    else this.#since = this.#host.clock.now
    if (this.#state === tunnel) {
      this.bytesIn += size
      if (!this.exchange.sendTunnel(bytes, 0, size)) this.#pause()
      return
    }
    if (this.#pending === null) return this.#process(bytes, 0, size, false)
    const grown = Buffer.concat([this.#pending, bytes.subarray(0, size)])
    this.#pending = grown
    // A head that drips in is looked at again only when a line of it ended.
    const worth = this.#state !== idle || grown.length > this.#host.limits.maxHeaderBytes || bytes.subarray(0, size).includes(LF)
    if (worth && !this.#processing) this.#processPending()
  }

  // The time of a head runs from its first byte.
  #noteBegin(): void {
    if (this.#state === idle && this.#pending === null) this.#since = this.#host.clock.now
    else if (this.#state === receiving) this.#since = this.#host.clock.now
  }

  #processPending(): void {
    const bytes = this.#pending
    if (bytes === null) return
    this.#pending = null
    this.#process(bytes, 0, bytes.length, true)
  }

  #process(bytes: Buffer, start: number, end: number, own: boolean): void {
    this.#processing = true
    let at = start
    while (at < end) {
      if (this.#state === idle && !this.socket.writableNeedDrain) {
        const after = this.#head(bytes, at, end)
        if (after === at) break
        at = after
      } else if (this.#state === receiving && this.#ready) at = this.#body(bytes, at, end)
      else if (this.#state === dropping) at = this.#drop(bytes, at, end)
      else break
    }
    this.#processing = false
    if (this.#ready && this.body !== 'none' && (this.#state === receiving || this.#state === waiting)) this.#flushBody()
    if (at < end && this.#state < closing) this.#keep(bytes, at, end, own)
    else if (this.#state === idle && this.#ended) this.#end()
  }

  #keep(bytes: Buffer, at: number, end: number, own: boolean): void {
    this.#pending = own ? bytes.subarray(at, end) : Buffer.from(bytes.subarray(at, end))
    if (this.#state !== idle && this.#pending.length > mostPipelined) this.#pause()
  }

  #flushBody(): void {
    if (!this.exchange.flush() && this.#state === receiving) this.#pause()
  }

  /** One head. Returns the offset behind it; `at` itself when bytes are missing. */
  #head(bytes: Buffer, at: number, end: number): number {
    let start = at
    // RFC 9112 §2.2: empty lines before a request line are passed over.
    while (start + 1 < end && bytes[start] === CR && bytes[start + 1] === LF) start += 2
    if (start === end) return end
    if (start + 1 === end && bytes[start] === CR) return start
    const after = parseRequestHead(parsedHead, bytes, start, end, this.#host.limits)
    if (after === 0) return start === at ? at : this.#shift(bytes, start, end)
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

  // The empty lines before an unfinished head are forgotten.
  #shift(bytes: Buffer, start: number, end: number): number {
    this.#pending = Buffer.from(bytes.subarray(start, end))
    return end
  }

  #begin(): void {
    this.#sentBefore = this.#out.sent
    this.#framing = 0
    this.#trailers = null
    this.#settled = false
    this.#ready = false
    this.#state = waiting
    this.#since = this.#host.clock.now
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
    const known = head.hostStart !== -1 && this.#sameHost(bytes, head.hostStart, head.hostEnd)
    if (!known && head.hostStart !== -1) this.#newHost(bytes.toString('latin1', head.hostStart, head.hostEnd))
    this.facts.take(bytes, head.hostStart === -1 ? '' : this.#hostName)
    if (head.refusal === null && this.#hostName === '') head.refusal = { status: 400, detail: 'The Host header is not a hostname.' }
    if (head.refusal !== null) return this.#refuse()
    this.#old = head.minor === 0
    if (this.#old) this.protocol = 'http/1.0'
    this.#keepOld = this.#old && head.keepAlive
    this.#close = head.close || (this.#old && !head.keepAlive)
    this.#expectsContinue = head.expectsContinue
    this.wantsUpgrade = head.upgrade
    if (head.upgrade) this.protocol = 'websocket'
    this.contentLength = head.contentLength
    if (head.hasBody) {
      this.#state = receiving
      this.body = head.chunked ? 'chunked' : 'length'
      this.#left = head.contentLength
      if (head.chunked) {
        this.#chunks ??= new ChunkScanner()
        this.#chunks.reset()
      }
    }
    if (head.targetEnd - head.targetStart === 1 && bytes[head.targetStart] === 42) return this.exchange.answerOwn(optionsAnswer)
    this.exchange.start(this.#route)
  }

  #sameHost(bytes: Buffer, start: number, end: number): boolean {
    const known = this.#hostBytes
    if (this.#table !== this.#host.table || end - start !== known.length || known.length === 0) return false
    for (let i = 0; i < known.length; i++) if (bytes[start + i] !== known[i]) return false
    return true
  }

  #newHost(text: string): void {
    const authority = parseAuthority(text)
    const { table } = this.#host
    this.#table = table
    this.#hostBytes = Buffer.from(text, 'latin1')
    this.#hostName = authority?.host ?? ''
    this.#route = authority === null ? null : (table.find(authority.host) ?? null)
    const { ip, localPort, secure } = this.#address
    const port = authority?.port || String(localPort)
    this.#forwarded = forwardedLines({ ip, scheme: secure ? 'https' : 'http', host: text, port })
  }

  #body(bytes: Buffer, at: number, end: number): number {
    if (this.body === 'length') {
      const run = Math.min(this.#left, end - at)
      this.#left -= run
      this.bytesIn += run
      if (this.#left === 0) this.#state = waiting
      this.exchange.sendBody(bytes, at, at + run)
      if (this.#left === 0) this.exchange.endBody(null)
      return at + run
    }
    const chunks = this.#chunks as ChunkScanner
    const after = chunks.scan(bytes, at, end)
    if (after < 0) {
      this.#close = true
      this.#state = waiting
      this.exchange.clientBroken()
      return end
    }
    this.bytesIn += after - at
    if (chunks.done) this.#state = waiting
    if (chunks.to > chunks.from) this.exchange.sendBody(bytes, chunks.from, chunks.to)
    if (chunks.done) this.exchange.endBody(chunks.trailers)
    return after
  }

  #drop(bytes: Buffer, at: number, end: number): number {
    if (this.body === 'length') {
      const run = Math.min(this.#left, end - at)
      this.#left -= run
      if (this.#left === 0) this.#next()
      return at + run
    }
    const chunks = this.#chunks as ChunkScanner
    const after = chunks.scan(bytes, at, end)
    if (after < 0) {
      this.#end()
      return end
    }
    if (chunks.done) this.#next()
    return after
  }

  #clientEnded(): void {
    this.#ended = true
    if (this.#state === tunnel) {
      this.#since = this.#host.clock.now
      this.exchange.endTunnel()
    } else if (this.#state === waiting && this.exchange.open) this.#since = this.#host.clock.now
    else if (this.#state === idle) this.#end()
    else this.destroy()
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

  // ── what the exchange says ──

  writeHead(out: Outbox, plan: ForwardPlan): void {
    const bytes = this.facts.lend(this.#host.limits)
    writeRequestHead(out, bytes, parsedHead, plan, this.#forwarded, this.facts.id)
  }

  onForwarding(): void {
    this.#ready = true
    if (this.#expectsContinue) {
      this.#expectsContinue = false
      this.#out.write(continueLine)
    }
    if (this.#processing) return
    // The decision took a while; what came meanwhile is the body.
    if (this.body !== 'none' && this.#pending === null) this.#flushBody()
    this.#resume()
    this.#processPending()
  }

  onDrain(): void {
    if (this.#state === receiving || this.#state === tunnel) this.#resume()
  }

  #context(): AnswerContext {
    // A client that waits for "100 Continue" and gets an answer instead may send its body or not: nobody can tell where a next request begins.
    if (this.#host.draining || this.wantsUpgrade || this.#expectsContinue || this.#ended) this.#close = true
    context.isHead = this.facts.method === 'HEAD'
    context.old = this.#old || this.wantsUpgrade
    context.close = this.#close
    context.toldKeepAlive = this.#keepOld
    context.requestId = this.facts.id
    return context
  }

  onInformation(head: AnswerHead): void {
    if (this.#old) return
    writeEarlyHints(this.#out, head)
    this.#out.flush()
  }

  onHead(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void {
    this.#framing = writeAnswerHead(this.#out, head, edits, setCookie, this.#context())
    if (this.#framing === untilClose) this.#close = true
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (this.#state === tunnel) {
      this.#since = this.#host.clock.now
      this.#out.put(bytes, start, end)
    } else writeBody(this.#out, this.#framing, bytes, start, end)
  }

  onTrailers(trailers: [string, string][]): void {
    this.#trailers = trailers
  }

  onFlush(): void {
    if (this.#ended) this.#since = this.#host.clock.now
    if (this.#out.flush()) return
    this.exchange.pauseAnswer()
    this.#stall()
  }

  onEnd(): void {
    writeBodyEnd(this.#out, this.#framing, this.#trailers)
    if (!this.#out.flush()) this.#stall()
    this.#answered()
  }

  onSwitch(head: AnswerHead, edits: HeaderEdits | null): void {
    this.#state = tunnel
    writeSwitch(this.#out, head, edits, this.facts.id)
    this.socket.setKeepAlive(true, 30_000)
    const early = this.#pending
    this.#pending = null
    this.#resume()
    if (early !== null && !this.exchange.sendTunnel(early, 0, early.length)) this.#pause()
    if (this.#ended) this.exchange.endTunnel()
  }

  onTunnelEnd(): void {
    this.#out.flush()
    this.#since = this.#host.clock.now
    this.#ended = true
    this.socket.end()
  }

  /** What came of the answer is passed on; its end must not look like one. */
  abort(): void {
    this.#out.flush()
    if (this.#framing === untilClose) this.socket.resetAndDestroy()
    this.destroy()
  }

  answer(answer: LocalAnswer) {
    if (answer.close) this.#close = true
    const framing = writeLocalHead(this.#out, answer, this.#context())
    this.#framing = framing
    if (framing === untilClose) this.#close = true
    const { body } = answer
    if (framing === 0 || body === null) return this.#localDone()
    if (Buffer.isBuffer(body)) {
      if (body.length <= smallBody) this.#out.putAll(body)
      else {
        // One system call for both.
        this.socket.cork()
        this.#out.flush()
        this.#out.write(body)
        this.socket.uncork()
      }
      return this.#localDone()
    }
    this.#stream(body.open(), framing)
  }

  #localDone(): void {
    if (!this.#out.flush()) this.#stall()
    this.exchange.localDone()
    this.#answered()
  }

  #stream(source: NodeJS.ReadableStream, framing: number): void {
    this.#source = source
    source.on('data', (chunk: Buffer) => {
      if (this.#source !== source) return
      if (this.#ended) this.#since = this.#host.clock.now
      writeBody(this.#out, framing, chunk, 0, chunk.length)
      if (this.#out.flush()) return
      source.pause()
      this.#stall()
    })
    source.on('end', () => {
      if (this.#source !== source) return
      this.#source = null
      writeBodyEnd(this.#out, framing, null)
      this.#localDone()
    })
    source.on('error', () => {
      if (this.#source === source) this.abort()
    })
    if (framing === chunked) this.#out.flush()
  }

  #dropSource(): void {
    const source = this.#source
    this.#source = null
    if (source !== null && 'destroy' in source && typeof source.destroy === 'function') source.destroy()
  }

  // ── after an answer ──

  #answered() {
    if (this.#state >= closing) return
    if (this.#close) return this.#end()
    if (this.#state === receiving) {
      this.#state = dropping
      this.#since = this.#host.clock.now
      this.#resume()
      if (!this.#processing) this.#processPending()
    } else this.#next()
  }

  #next(): void {
    this.#state = idle
    this.#since = this.#host.clock.now
    if (this.#processing || this.socket.writableNeedDrain) return
    if (this.#pending !== null) this.#processPending()
    if (this.#state === idle) {
      if (this.#ended && this.#pending === null) this.#end()
      this.#resume()
    }
  }

  /** Says the last byte and waits a moment for the client to do so: to close at once could reset what is on its way. */
  #end(): void {
    if (this.#state >= closing) return
    this.#state = closing
    this.#since = this.#host.clock.now
    this.#pending = null
    this.#out.flush()
    this.socket.end()
    if (this.#ended) return
    this.#paused = true
    this.#resume()
  }

  /** Ends a connection on which nothing is under way. */
  endIdle(): void {
    if (this.isIdle) this.#end()
  }

  destroy(): void {
    this.#state = dead
    this.#out.discard()
    this.socket.destroy()
  }

  // ── silence ──

  // A client that takes nothing is given up by the socket's own timer, which knows of progress within one write.
  #stall(): void {
    if (this.#stalled) return
    this.#stalled = true
    this.socket.setTimeout(this.#host.limits.clientIdleTimeoutMs)
  }

  #drained(): void {
    if (this.#stalled) {
      this.#stalled = false
      this.socket.setTimeout(0)
    }
    this.#source?.resume()
    this.exchange.resumeAnswer()
    if (this.#state === idle && !this.#processing) this.#next()
  }

  /** Called every tick: who was silent for too long is given up. */
  watch(): void {
    const { clock, limits } = this.#host
    if (this.#state === idle) {
      if (this.#pending !== null) {
        if (clock.passed(this.#since, limits.clientHeadTimeoutMs)) this.#headTooLate()
      } else if (clock.passed(this.#since, limits.keepAliveMs)) this.#end()
    } else if (this.#state === dropping || this.#state === closing) {
      if (clock.passed(this.#since, limits.lingerMs)) this.destroy()
    } else if (this.#state === tunnel) {
      if (this.#ended && clock.passed(this.#since, limits.lingerMs)) this.destroy()
    } else this.#watchRequest(clock)
  }

  #watchRequest(clock: Clock) {
    const { limits } = this.#host
    if (this.#state === receiving && this.#ready && !this.#paused && clock.passed(this.#since, limits.clientIdleTimeoutMs)) {
      this.#close = true
      return this.exchange.clientSilent()
    }
    if (this.#ended && !this.#stalled && clock.passed(this.#since, halfCloseGraceMs)) return this.destroy()
    if (!this.#settled && this.exchange.open && clock.passed(this.#since, 0)) {
      this.#settled = true
      this.exchange.settle()
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

const context: AnswerContext = { isHead: false, old: false, close: false, toldKeepAlive: false, requestId: nothing }

// `OPTIONS *` asks about this server, not about an app (RFC 9110 §9.3.7).
const optionsAnswer: LocalAnswer = {
  status: 204,
  headers: [['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']],
  body: null,
  cache: 'none',
  why: 'options',
}
