import { ClosedBy, ClosedStreams, type FloodGuard } from './flood'
import type { Output } from './output'
import { defaultWindow, ErrorCode, maxWindow } from './protocol'
import type { H2Stream, StreamOwner } from './stream'

/** What we let a client send on one connection ahead of what instances take. */
export const sessionWindow = 1_048_576

/** The open streams of a connection, what is remembered of closed ones, and the connection's windows. */
export class StreamSet implements StreamOwner {
  readonly #output: Output
  readonly #guard: FloodGuard
  readonly #onEmpty: () => void
  readonly #open = new Map<number, H2Stream>()
  #closed: ClosedStreams | null = null
  #waiting: H2Stream[] = []
  #sendWindow = defaultWindow
  #recvWindow = sessionWindow
  #owed = 0
  #ended = false

  constructor(output: Output, guard: FloodGuard, onEmpty: () => void) {
    this.#output = output
    this.#guard = guard
    this.#onEmpty = onEmpty
  }

  get size(): number {
    return this.#open.size
  }

  /** Streams that have something to send and cannot yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  get(streamId: number): H2Stream | undefined {
    return this.#open.get(streamId)
  }

  add(stream: H2Stream): void {
    this.#open.set(stream.id, stream)
  }

  /** Takes flow-controlled bytes from the connection's window; false: there were not so many. */
  receive(flow: number): boolean {
    this.#recvWindow -= flow
    return this.#recvWindow >= 0
  }

  /** The client opens the connection's window. Returns an error code. */
  openWindow(increment: number): number {
    this.#sendWindow += increment
    return this.#sendWindow > maxWindow ? ErrorCode.flowControlError : ErrorCode.noError
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE changed by so much (RFC 9113 §6.9.2). Returns an error code. */
  shiftWindows(change: number): number {
    for (const stream of this.#open.values()) {
      stream.sendWindow += change
      if (stream.sendWindow > maxWindow) return ErrorCode.flowControlError
    }
    return ErrorCode.noError
  }

  howClosed(streamId: number): number {
    return this.#closed?.howClosed(streamId) ?? ClosedBy.unknown
  }

  /** Refuses a stream that was never opened. */
  refuse(streamId: number, code: number): void {
    this.#note(streamId, ClosedBy.us)
    this.#output.rstStream(streamId, code)
  }

  #note(streamId: number, how: number): void {
    this.#closed ??= new ClosedStreams()
    this.#closed.note(streamId, how)
  }

  sendable(wanted: number): number {
    return this.#output.jammed ? 0 : Math.min(wanted, this.#sendWindow)
  }

  sendData(streamId: number, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#sendWindow -= end - start
    this.#guard.earnWindowUpdates()
    this.#output.data(streamId, bytes, start, end, endStream)
  }

  sendHeaders(streamId: number, fields: readonly Buffer[], endStream: boolean): number {
    return this.#output.headers(streamId, fields, endStream)
  }

  credit(bytes: number): void {
    this.#owed += bytes
    if (this.#owed < sessionWindow / 2 || this.#ended) return
    this.#recvWindow += this.#owed
    this.#output.windowUpdate(0, this.#owed)
    this.#owed = 0
  }

  creditStream(streamId: number, bytes: number): void {
    this.#output.windowUpdate(streamId, bytes)
  }

  wait(stream: H2Stream): void {
    if (stream.waiting) return
    stream.waiting = true
    this.#waiting.push(stream)
  }

  /** Each in turn sends what it can; those that still wait stay, the last served last. */
  pump(now: number): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (let i = 0; i < waiting.length; i++) {
      const stream = waiting[i] as H2Stream
      if (this.#sendWindow <= 0 || this.#output.jammed) {
        for (const left of waiting.slice(i)) if (left.waiting) this.#waiting.push(left)
        return
      }
      stream.waiting = false
      if (stream.localOpen && stream.pump(now)) this.wait(stream)
    }
  }

  /** Resets a stream and notifies its request. */
  resetStream(stream: H2Stream, code: number): void {
    this.#output.rstStream(stream.id, code)
    this.forget(stream, ClosedBy.us)
    stream.abandon(true)
  }

  finish(stream: H2Stream): void {
    if (!stream.remoteOpen) {
      this.forget(stream, ClosedBy.end)
      return
    }
    // §8.1: answered before the request was whole; the rest is not wanted.
    this.#output.rstStream(stream.id, ErrorCode.noError)
    this.forget(stream, ClosedBy.us)
    stream.abandon(false)
  }

  /** The stream is closed; `how` is one of `ClosedBy`. */
  forget(stream: H2Stream, how: number): void {
    if (!this.#open.delete(stream.id)) return
    this.#note(stream.id, how)
    if (stream.waiting) this.#waitNoMore(stream)
    const flow = stream.forfeit()
    if (flow > 0) this.credit(flow)
    if (this.#open.size === 0 && !this.#ended) this.#onEmpty()
  }

  // At once: a client that never opens the connection's window could have us keep one after the other.
  #waitNoMore(stream: H2Stream): void {
    stream.waiting = false
    const at = this.#waiting.indexOf(stream)
    if (at !== -1) this.#waiting.splice(at, 1)
  }

  /** The connection is lost: notifies every open request. */
  abandonAll(): void {
    this.#ended = true
    const streams = [...this.#open.values()]
    this.#open.clear()
    this.#waiting = []
    for (const stream of streams) stream.abandon(true)
  }

  /** Ends what has waited for the client for more than `limitMs`. */
  tick(now: number, limitMs: number): void {
    for (const stream of [...this.#open.values()]) {
      if (now - stream.movedAt <= limitMs) continue
      if (stream.waiting) this.resetStream(stream, ErrorCode.cancel)
      // A client that got the head of its answer may be silent for as long as it likes: it converses (gRPC).
      else if (stream.remoteOpen && !stream.heldBack && !stream.headSent) stream.taker?.onSilence()
    }
  }
}
