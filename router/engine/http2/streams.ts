import { ClosedBy, ClosedStreams, type FloodGuard } from './flood'
import type { Output } from './output'
import { defaultWindow, ErrorCode, maxWindow } from './protocol'
import type { H2Stream, StreamOwner } from './stream'

/** Receive window of a connection: body bytes that a client may send before the instances have taken them. */
export const sessionWindow = 1_048_576

/** The open streams of a connection, how recent streams were closed, and the connection's windows. */
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

  /** Number of streams that wait for a window or the socket. */
  get waiting(): number {
    return this.#waiting.length
  }

  get(streamId: number): H2Stream | undefined {
    return this.#open.get(streamId)
  }

  add(stream: H2Stream): void {
    this.#open.set(stream.id, stream)
  }

  /** Subtracts flow-controlled bytes from the connection's receive window. false: the client exceeded the window. */
  receive(flow: number): boolean {
    this.#recvWindow -= flow
    return this.#recvWindow >= 0
  }

  /** Adds a WINDOW_UPDATE of the connection. Returns an error code. */
  openWindow(increment: number): number {
    this.#sendWindow += increment
    return this.#sendWindow > maxWindow ? ErrorCode.flowControlError : ErrorCode.noError
  }

  /** Adjusts all stream windows by a change of SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.9.2). Returns an error code. */
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

  /** Refuses a new stream without opening it. */
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

  /** Lets each waiting stream send in turn. Streams that still wait stay in the queue, the last served at the end. */
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
    // §8.1: the answer ended before the request; ignore the rest of the request.
    this.#output.rstStream(stream.id, ErrorCode.noError)
    this.forget(stream, ClosedBy.us)
    stream.abandon(false)
  }

  /** Removes a closed stream; `how` is one of `ClosedBy`. */
  forget(stream: H2Stream, how: number): void {
    if (!this.#open.delete(stream.id)) return
    this.#note(stream.id, how)
    if (stream.waiting) this.#waitNoMore(stream)
    const flow = stream.forfeit()
    if (flow > 0) this.credit(flow)
    if (this.#open.size === 0 && !this.#ended) this.#onEmpty()
  }

  // Remove at once: a client that never opens the connection's window could otherwise make the queue grow without bound.
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

  /** Ends streams that waited for the client for more than `limitMs`. */
  tick(now: number, limitMs: number): void {
    for (const stream of [...this.#open.values()]) {
      if (now - stream.movedAt <= limitMs) continue
      if (stream.waiting) this.resetStream(stream, ErrorCode.cancel)
      // After the response head, the client may be silent indefinitely: it may be a conversation (gRPC).
      else if (stream.remoteOpen && !stream.heldBack && !stream.headSent) stream.taker?.onSilence()
    }
  }
}
