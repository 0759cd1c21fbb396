import type net from 'node:net'
import { AnswerHead, answerHeadLimits, parseAnswerHead } from '../http1/parse/answer-head'
import { ChunkScanner } from '../http1/parse/chunked'
import { LF } from '../http1/parse/tables'
import type { Clock } from '../io/clock'
import { Outbox, readBuffer } from '../io/slab'
import { isEventStream } from './event-stream'
import { ConnectTimeout, InterimFlood, maxInterimBytes, quietProbeMs, UnaskedUpgrade, UpstreamSilence } from './faults'

/**
 * Receives one answer. Bytes are views of a reused buffer: valid during the call, copy them to keep them. Order of calls: onInformation*,
 * onHead, onBody*, onTrailers?, onEnd. Each read ends with onFlush or onEnd, so bytes that arrived together can be sent together. After
 * onEnd, onFault or `abort` there are no further calls.
 */
export interface AnswerSink {
  /** 103 and other interim answers; 100 and 102 are not forwarded. */
  onInformation(head: AnswerHead): void
  /** The final head. `head.fields` has hop-by-hop lines cut; the head is valid during the call. */
  onHead(head: AnswerHead): void
  /** Payload without framing. */
  onBody(bytes: Buffer, start: number, end: number): void
  onTrailers(trailers: [string, string][]): void
  onFlush(): void
  onEnd(): void
  /** The answer failed. `head`: the final head had arrived. No further calls follow. */
  onFault(error: Error, before: { head: boolean; anyByte: boolean; reused: boolean }): void
  /** 101: the connection is a tunnel. Bytes arrive by onBody until onTunnelEnd (the instance half-closed). */
  onSwitch(head: AnswerHead): void
  onTunnelEnd(): void
  /** The instance accepts more bytes after `flush` returned false. */
  onDrain(): void
}

/** Properties of a request that are needed to read its answer. */
export interface AskedFor {
  head: boolean
  upgrade: boolean
  /** Timeout for silence before and within the answer. */
  silenceMs: number
}

/** The answer is not valid HTTP. */
export class BadAnswer extends Error {
  readonly code = 'HPE_LEAN'
}

const connecting = 0
const idle = 1
const waiting = 2
const body = 3
const tunnel = 4
const dead = 5

const byLength = 1
const byChunks = 2
const byClose = 3

/** Shared by all connections: a head is parsed and passed on within one turn. */
const answerHead = new AnswerHead()

/** Request heads are rarely longer. */
const ownBytes = 2_048

/** Takes back a connection after its answer. */
export interface ConnectionHome {
  /** The connection is idle and may be reused. */
  release(connection: UpstreamConnection): void
  gone(connection: UpstreamConnection): void
}

/** One connection to an instance: HTTP/1.1 requests out, answers in, one at a time. */
export class UpstreamConnection {
  readonly out: Outbox
  readonly socket: net.Socket
  readonly #home: ConnectionHome
  readonly #clock: Clock
  #state = connecting
  #connected = false
  #sink: AnswerSink | null = null
  #asked: AskedFor = { head: false, upgrade: false, silenceMs: 0 }
  #pending: Buffer | null = null
  #framing = byLength
  #left = 0
  #chunks: ChunkScanner | null = null
  #keep = false
  #requestDone = false
  #reused = false
  #anyByte = false
  #interimBytes = 0
  /** The answer is an event stream, which may be silent for any time. */
  #mayBeQuiet = false
  #paused = false
  /** The instance half-closed a tunnel: a later connection error is no fault. */
  #lastSaid = false
  /** Clock time of the last byte in either direction, or of the last change of state. */
  activeAt: number

  /** `open` creates the socket: with `onread` if it calls the given callback, else the socket emits 'data' events. */
  constructor(open: (onRead: (size: number, bytes: Buffer) => boolean) => net.Socket, home: ConnectionHome, clock: Clock) {
    this.#home = home
    this.#clock = clock
    this.activeAt = clock.now
    this.socket = open((size) => {
      this.#receive(readBuffer, size)
      return true
    })
    this.out = new Outbox(this.socket)
    this.socket.once('connect', () => {
      this.#connected = true
      this.activeAt = clock.now
      if (this.#state === connecting) this.#state = this.#sink === null ? idle : waiting
    })
    this.socket.on('drain', () => {
      this.activeAt = clock.now
      this.#sink?.onDrain()
    })
    this.socket.on('end', () => this.#ended())
    this.socket.on('error', (error) => this.#fail(error))
    this.socket.on('close', () => {
      this.#fail(new Error('the instance closed the connection'))
      home.gone(this)
    })
  }

  get usable(): boolean {
    return this.#state === idle && this.socket.writable
  }

  /** Takes the connection for one request, whose head is then written to `out`. */
  begin(sink: AnswerSink, asked: AskedFor): void {
    this.#reused = this.#state === idle
    this.#state = this.#connected ? waiting : connecting
    this.#sink = sink
    this.#asked = asked
    this.#requestDone = false
    this.#anyByte = false
    this.#interimBytes = 0
    this.#mayBeQuiet = false
    this.activeAt = this.#clock.now
    this.out.restart(ownBytes)
  }

  /** Sends what was written to `out`. False: wait for onDrain. */
  flush(): boolean {
    this.activeAt = this.#clock.now
    return this.out.flush()
  }

  /** The request is completely written. If the answer ends before this call, the connection cannot be reused. */
  requestEnded(): void {
    this.#requestDone = true
  }

  /** Stops reading from the instance, because the client is slow. */
  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.activeAt = this.#clock.now
    this.socket.resume()
  }

  /** Discards the answer and closes the connection; the sink is not called again. */
  abort(): void {
    this.#sink = null
    this.destroy()
  }

  /** Half-closes the connection of a tunnel. */
  endTunnel(): void {
    this.flush()
    this.socket.end()
  }

  destroy(): void {
    this.#state = dead
    this.out.discard()
    this.socket.destroy()
  }

  /** Called every tick: faults of silence. */
  watch(connectTimeoutMs: number, idleMs: number): void {
    if (this.#state === tunnel || this.#state === dead) return
    if (!this.#connected) {
      if (this.#clock.passed(this.activeAt, connectTimeoutMs)) this.#fail(new ConnectTimeout(`no connection within ${connectTimeoutMs} ms`))
    } else if (this.#sink === null) {
      if (this.#clock.passed(this.activeAt, idleMs)) this.destroy()
    } else if (!this.#paused && !this.#mayBeQuiet && this.#clock.passed(this.activeAt, this.#asked.silenceMs)) {
      this.#fail(new UpstreamSilence(`nothing received for ${this.#asked.silenceMs} ms`))
    }
  }

  /** For sockets without `onread`. */
  receive(bytes: Buffer): void {
    this.#receive(bytes, bytes.length)
  }

  #receive(bytes: Buffer, size: number) {
    const sink = this.#sink
    this.activeAt = this.#clock.now
    // Bytes without a request must not become the next request's answer.
    if (sink === null) return this.destroy()
    this.#anyByte = true
    if (this.#state === body) this.#body(bytes, 0, size)
    else if (this.#state === tunnel) sink.onBody(bytes, 0, size)
    else this.#head(bytes, size)
    if (this.#sink === sink) sink.onFlush()
  }

  #head(read: Buffer, size: number) {
    let bytes = read
    let end = size
    if (this.#pending !== null) {
      bytes = Buffer.concat([this.#pending, read.subarray(0, size)])
      end = bytes.length
      this.#pending = null
      // Parse an incomplete head again only after a complete line: each attempt starts at its first byte.
      if (end <= answerHeadLimits.bytes && !read.subarray(0, size).includes(LF)) {
        this.#pending = bytes
        return
      }
    }
    let at = 0
    while (at < end) {
      const after = parseAnswerHead(answerHead, bytes, at, end)
      if (after < 0) return this.#fail(new BadAnswer('the answer is not valid HTTP/1.1'))
      if (after === 0) {
        this.#pending = Buffer.from(bytes.subarray(at, end))
        return
      }
      if (answerHead.status >= 200) return this.#answer(bytes, after, end)
      if (answerHead.status === 101) return this.#switch(bytes, after, end)
      this.#interimBytes += after - at
      if (this.#interimBytes > maxInterimBytes) return this.#fail(new InterimFlood('interim answers without end'))
      const sink = this.#sink
      if (answerHead.status !== 100 && answerHead.status !== 102) sink?.onInformation(answerHead)
      if (this.#sink !== sink) return
      at = after
    }
  }

  #switch(bytes: Buffer, after: number, end: number) {
    const sink = this.#sink
    if (!this.#asked.upgrade) return this.#fail(new UnaskedUpgrade('the instance switched protocols without being asked to'))
    this.#state = tunnel
    this.socket.setKeepAlive(true, quietProbeMs)
    sink?.onSwitch(answerHead)
    if (after < end && this.#sink === sink) sink?.onBody(bytes, after, end)
  }

  #answer(bytes: Buffer, after: number, end: number): void {
    const head = answerHead
    this.#keep = !head.close
    this.#state = body
    this.#framing = byLength
    if (this.#asked.head || head.status === 204 || head.status === 304) this.#left = 0
    else if (head.chunked) {
      this.#framing = byChunks
      this.#chunks ??= new ChunkScanner()
      this.#chunks.reset()
    } else if (head.contentLength >= 0) this.#left = head.contentLength
    else this.#framing = byClose
    // Only what has no length is looked at: an event stream never has one.
    if (this.#framing !== byLength && isEventStream(head.read('content-type'))) this.#allowSilence()
    const sink = this.#sink
    sink?.onHead(head)
    if (this.#sink === sink) this.#body(bytes, after, end)
  }

  #allowSilence(): void {
    this.#mayBeQuiet = true
    this.socket.setKeepAlive(true, quietProbeMs)
  }

  #body(bytes: Buffer, start: number, end: number) {
    const sink = this.#sink as AnswerSink
    if (this.#framing === byChunks) return this.#chunked(sink, bytes, start, end)
    if (this.#framing === byClose) {
      if (end > start) sink.onBody(bytes, start, end)
      return
    }
    const run = Math.min(this.#left, end - start)
    this.#left -= run
    const finished = this.#left === 0
    if (run > 0) sink.onBody(bytes, start, start + run)
    if (finished && this.#sink === sink) this.#finish(start + run < end)
  }

  #chunked(sink: AnswerSink, bytes: Buffer, start: number, end: number) {
    const chunks = this.#chunks as ChunkScanner
    let at = start
    while (at < end) {
      at = chunks.scan(bytes, at, end)
      if (at < 0) return this.#fail(new BadAnswer('the chunks of the answer cannot be read'))
      if (chunks.to > chunks.from) sink.onBody(bytes, chunks.from, chunks.to)
      if (this.#sink !== sink) return
      if (chunks.done) {
        if (chunks.trailers !== null) sink.onTrailers(chunks.trailers)
        if (this.#sink === sink) this.#finish(at < end)
        return
      }
    }
  }

  // Reused only when provably clean: the request was sent whole, the answer ended by its own framing, and nothing came after it.
  #finish(surplus: boolean): void {
    const sink = this.#sink as AnswerSink
    this.#sink = null
    if (this.#keep && this.#requestDone && !surplus && this.socket.writable) {
      this.#state = idle
      this.resume()
      this.#home.release(this)
    } else this.destroy()
    sink.onEnd()
  }

  #ended() {
    if (this.#state === tunnel) {
      this.#lastSaid = true
      return this.#sink?.onTunnelEnd()
    }
    if (this.#state === body && this.#framing === byClose && this.#sink !== null) {
      this.#keep = false
      return this.#finish(false)
    }
    this.#fail(new Error('the instance closed the connection'))
  }

  #fail(error: Error): void {
    const sink = this.#lastSaid ? null : this.#sink
    const before = { head: this.#state === body || this.#state === tunnel, anyByte: this.#anyByte, reused: this.#reused }
    this.#sink = null
    if (this.#state !== dead) this.destroy()
    sink?.onFault(error, before)
  }
}
