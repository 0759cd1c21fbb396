import type net from 'node:net'
import type { HeaderEdits, LocalAnswer } from '../../gate/gate'
import { slowReaders } from '../io/load-gauge'
import { Outbox } from '../io/slab'
import {
  type AnswerContext,
  bodyless,
  chunked,
  untilClose,
  writeAnswerHead,
  writeBody,
  writeBodyEnd,
  writeEarlyHints,
  writeLocalHead,
  writeSwitch,
} from './answer-writer'
import type { AnswerHead } from './parse/answer-head'

const continueLine = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')
const nothing = Buffer.alloc(0)
/** Under load, a slow client must read some bytes within this time, because its kernel buffers use memory. */
const overloadTimeoutMs = 10_000
/** Smaller bodies are copied after their head; larger ones are written separately. */
const smallBody = 16_384

/** Callbacks of the connection that owns the answers. */
export interface AnswersOwner {
  /** The stream of a local answer has ended. */
  onStreamed(): void
  /** The stream failed: the client must see that the answer is incomplete. */
  abort(): void
}

/** Writes the answers of one HTTP/1 connection, in the framing that the client understands. */
export class ClientAnswers {
  readonly #socket: net.Socket
  readonly #owner: AnswersOwner
  readonly #idleTimeoutMs: number
  readonly #out: Outbox
  #framing = bodyless
  #trailers: [string, string][] | null = null
  #source: NodeJS.ReadableStream | null = null
  #sentBefore = 0
  #stalled = false

  constructor(socket: net.Socket, owner: AnswersOwner, idleTimeoutMs: number) {
    this.#socket = socket
    this.#owner = owner
    this.#idleTimeoutMs = idleTimeoutMs
    this.#out = new Outbox(socket)
  }

  /** A next answer begins. */
  begin(): void {
    this.#sentBefore = this.#out.sent
    this.#framing = bodyless
    this.#trailers = null
  }

  get bytesOut(): number {
    return this.#out.sent + this.#out.gathered - this.#sentBefore
  }

  /** The client is not reading at the moment. */
  get stalled(): boolean {
    return this.#stalled
  }

  /** Whether the body ends with the connection. */
  get endsByClose(): boolean {
    return this.#framing === untilClose
  }

  sayContinue(): void {
    this.#out.write(continueLine)
  }

  earlyHints(head: AnswerHead): void {
    writeEarlyHints(this.#out, head)
    this.#out.flush()
  }

  head(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null, context: AnswerContext): void {
    this.#framing = writeAnswerHead(this.#out, head, edits, setCookie, context)
  }

  body(bytes: Buffer, start: number, end: number): void {
    writeBody(this.#out, this.#framing, bytes, start, end)
  }

  trailers(trailers: [string, string][]): void {
    this.#trailers = trailers
  }

  end(): void {
    writeBodyEnd(this.#out, this.#framing, this.#trailers)
    this.flush()
  }

  switched(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null, requestId: Buffer): void {
    writeSwitch(this.#out, head, edits, setCookie, requestId)
  }

  /** Bytes of a tunnel. */
  raw(bytes: Buffer, start: number, end: number): void {
    this.#out.put(bytes, start, end)
  }

  /** Sends the composed bytes. False: the client is slow. */
  flush(): boolean {
    const socket = this.#socket
    if (this.#out.flush()) {
      if (!slowReaders.overloaded || socket.writableLength === 0) return true
      // Under load, read no more for a client until it has read all bytes sent to it.
      if (!this.#stalled) socket.write(nothing, () => !socket.destroyed && socket.emit('drain'))
    }
    // The socket's own timer closes a client that reads nothing: it measures progress within a write.
    if (!this.#stalled) {
      this.#stalled = true
      slowReaders.enter()
      socket.setTimeout(slowReaders.overloaded ? Math.min(overloadTimeoutMs, this.#idleTimeoutMs) : this.#idleTimeoutMs)
    }
    return false
  }

  /** Writes a local answer. True: complete; false: the body is streamed, and `onStreamed` reports its end. */
  local(answer: LocalAnswer, context: AnswerContext): boolean {
    const framing = writeLocalHead(this.#out, answer, context)
    const { body } = answer
    this.#framing = framing
    if (framing !== bodyless && body !== null) {
      if (!Buffer.isBuffer(body)) {
        this.#stream(body.open(), framing)
        return false
      }
      if (body.length <= smallBody) this.#out.putAll(body)
      else {
        // Write head and body with one system call.
        this.#socket.cork()
        this.#out.write(body)
        this.#socket.uncork()
      }
    }
    this.flush()
    return true
  }

  #stream(source: NodeJS.ReadableStream, framing: number): void {
    this.#source = source
    source.on('data', (chunk: Buffer) => {
      if (this.#source !== source) return
      writeBody(this.#out, framing, chunk, 0, chunk.length)
      if (!this.flush()) source.pause()
    })
    source.on('end', () => {
      if (this.#source !== source) return
      this.#source = null
      writeBodyEnd(this.#out, framing, null)
      this.flush()
      this.#owner.onStreamed()
    })
    const broken = () => {
      if (this.#source === source) this.#owner.abort()
    }
    source.on('error', broken)
    source.on('close', broken)
    if (framing === chunked) this.#out.flush()
  }

  /** The client reads again. */
  drained(): void {
    if (this.#stalled) this.#socket.setTimeout(0)
    this.#goOn()
    this.#source?.resume()
  }

  #goOn(): void {
    if (!this.#stalled) return
    this.#stalled = false
    slowReaders.leave()
  }

  /** Closes the source of the answer after its client disconnected. */
  dropSource(): void {
    this.#goOn()
    const source = this.#source
    this.#source = null
    if (source !== null && 'destroy' in source && typeof source.destroy === 'function') source.destroy()
  }

  discard(): void {
    this.#out.discard()
  }
}
