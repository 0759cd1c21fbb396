import { slowReaders } from '../io/load-gauge'
import type { Field } from './hpack/field'
import { ErrorCode, frameHeaderBytes, maxFrameBytes } from './protocol'

/** Receives the body of a request, and the signal to send more of its answer. */
export interface RequestTaker {
  /** Body bytes, which may be kept. Returns false to receive no more until `stream.resume` is called. */
  takeBody(bytes: Buffer): boolean
  /** The request is complete. */
  takeEnd(trailers: readonly Field[] | null): void
  /** The client reset the stream or the connection is lost: no answer can be sent. */
  onAbort(): void
  /** The bytes for which `write` returned false have been sent. */
  onSent(): void
  /** The client has not sent the expected body bytes for too long. */
  onSilence(): void
}

/** The operations of a connection that its streams use. */
export interface StreamOwner {
  /** Number of DATA bytes that the connection's window and the socket's backlog allow now, at most `wanted`. */
  sendable(wanted: number): number
  sendData(streamId: number, bytes: Buffer, start: number, end: number, endStream: boolean): void
  /** Sends a header block. Returns its number of bytes. */
  sendHeaders(streamId: number, fields: readonly Buffer[], endStream: boolean): number
  /** Opens the connection's window again after DATA bytes were consumed. */
  credit(bytes: number): void
  creditStream(streamId: number, bytes: number): void
  /** Queues a stream that has DATA to send but no window for it. */
  wait(stream: H2Stream): void
  /** Sends RST_STREAM. */
  resetStream(stream: H2Stream, code: number): void
  /** Both directions ended, or the answer ended and the rest of the request is ignored. */
  finish(stream: H2Stream): void
}

/** Receive window of a stream: body bytes that a client may send before the instance has taken them. */
export const streamWindow = 262_144

/** One request and its answer: the state machine and flow control of an HTTP/2 stream. */
export class H2Stream {
  readonly id: number
  readonly #owner: StreamOwner
  /** null: not dispatched yet, or ended. */
  taker: RequestTaker | null = null
  /** Bytes of frames of this stream, including frame headers. */
  bytesIn = 0
  bytesOut = 0
  /** Negative after the client reduced its initial window size (RFC 9113 §6.9.2). */
  sendWindow: number
  recvWindow = streamWindow
  /** The client has not sent END_STREAM. */
  remoteOpen: boolean
  /** We have not sent END_STREAM. */
  localOpen = true
  headSent = false
  /** The stream is in its owner's queue of streams that wait to send. */
  waiting = false
  /** Time of the last progress in ms, for timeouts. */
  movedAt: number
  // Body bytes still expected by Content-Length; -1: unknown.
  #bodyLeft: number
  #owed = 0
  // Flow-controlled bytes that arrived after the taker had returned false: they are credited to the client on `resume`.
  #withheld = 0
  #held = false
  #pending: Buffer[] = none
  /** Answer bytes are buffered for a client that reads slowly. */
  #holds = false
  #endAfterPending = false
  #trailers: readonly Buffer[] | null = null

  constructor(owner: StreamOwner, id: number, sendWindow: number, remoteOpen: boolean, contentLength: number, now: number) {
    this.#owner = owner
    this.id = id
    this.sendWindow = sendWindow
    this.remoteOpen = remoteOpen
    this.#bodyLeft = contentLength
    this.movedAt = now
  }

  get over(): boolean {
    return !this.localOpen && !this.remoteOpen
  }

  /** The taker has paused the body, so the client is not expected to send. */
  get heldBack(): boolean {
    return this.#held
  }

  /** Answer bytes that wait to be sent. */
  get pendingBytes(): number {
    let bytes = 0
    for (const run of this.#pending) bytes += run.length
    return bytes
  }

  // Methods for frames received from the client.

  /** Receives body bytes; `flow` includes padding. Returns false when the body contradicts Content-Length (§8.1.1). */
  receive(bytes: Buffer, start: number, end: number, flow: number): boolean {
    const length = end - start
    this.bytesIn += flow + frameHeaderBytes
    if (this.#bodyLeft >= 0) {
      this.#bodyLeft -= length
      if (this.#bodyLeft < 0) return false
    }
    if (length > 0 && this.taker !== null && !this.taker.takeBody(bytes.subarray(start, end))) this.#held = true
    if (this.#held) this.#withheld += flow
    else this.#consumed(flow)
    return true
  }

  /** END_STREAM arrived. Returns false when the body is shorter than Content-Length. */
  receiveEnd(trailers: readonly Field[] | null): boolean {
    if (this.#bodyLeft > 0) return false
    this.remoteOpen = false
    this.taker?.takeEnd(trailers)
    return true
  }

  /** Continues passing the body to the taker. */
  resume(): void {
    this.#held = false
    const flow = this.#withheld
    this.#withheld = 0
    this.movedAt = Date.now()
    this.#consumed(flow)
  }

  #consumed(flow: number): void {
    if (flow === 0) return
    this.#owner.credit(flow)
    this.#owed += flow
    if (this.#owed >= streamWindow / 2 && this.remoteOpen) {
      this.recvWindow += this.#owed
      this.#owner.creditStream(this.id, this.#owed)
      this.#owed = 0
    }
  }

  /** Returns the flow-controlled bytes that were received but will never be consumed, to be credited to the connection's window. */
  forfeit(): number {
    const flow = this.#withheld
    this.#withheld = 0
    return flow
  }

  // Methods that send the answer to the client. They have no effect after the stream ended or was reset.

  /** Sends an interim response (1xx). */
  inform(fields: readonly Buffer[]): void {
    if (this.localOpen && !this.headSent) this.bytesOut += this.#owner.sendHeaders(this.id, fields, false)
  }

  /** Sends the response head: encoded fields, `:status` first. */
  respond(fields: readonly Buffer[], endStream: boolean): void {
    if (!this.localOpen || this.headSent) return
    this.headSent = true
    this.bytesOut += this.#owner.sendHeaders(this.id, fields, endStream)
    if (endStream) this.#ended()
  }

  /**
   * Sends body bytes; `last` ends the answer. The bytes are copied before this returns, except `lasting` ones: these never change, so slow
   * clients can share one buffer. Returns false when the bytes wait for the client: the caller should pause until `onSent` is called.
   */
  write(bytes: Buffer, start: number, end: number, last: boolean, lasting = false): boolean {
    if (!this.localOpen) return true
    if (last) this.#endAfterPending = true
    if (this.#pending.length > 0) {
      if (end > start) this.#pending.push(this.#toHold(bytes, start, end, lasting))
      return false
    }
    const from = this.#push(bytes, start, end)
    if (from < end) {
      this.#pending = [this.#toHold(bytes, from, end, lasting)]
      this.movedAt = Date.now()
      this.#owner.wait(this)
      return false
    }
    return true
  }

  #toHold(bytes: Buffer, start: number, end: number, lasting: boolean): Buffer {
    const run = bytes.subarray(start, end)
    if (lasting) return run
    if (!this.#holds) slowReaders.enter()
    this.#holds = true
    return Buffer.from(run)
  }

  #holdNothing(): void {
    this.#pending = none
    if (this.#holds) slowReaders.leave()
    this.#holds = false
  }

  /** Ends the answer, with encoded trailer fields if there are any. */
  end(trailers: readonly Buffer[] | null): void {
    if (!this.localOpen) return
    this.#trailers = trailers
    this.#endAfterPending = true
    if (this.#pending.length === 0) this.#push(nothing, 0, 0)
  }

  /** Sends as many bytes as the windows allow and returns the position reached. Ends our side of the stream after the last byte. */
  #push(bytes: Buffer, start: number, end: number): number {
    let from = start
    while (from < end) {
      const wanted = Math.min(end - from, maxFrameBytes, this.sendWindow)
      const length = wanted > 0 ? this.#owner.sendable(wanted) : 0
      if (length <= 0) return from
      const last = this.#endAfterPending && this.#trailers === null && this.#pending.length <= 1 && length === end - from
      this.sendWindow -= length
      this.bytesOut += length + frameHeaderBytes
      this.#owner.sendData(this.id, bytes, from, from + length, last)
      from += length
      if (last) {
        this.#ended()
        return end
      }
    }
    if (this.#endAfterPending && this.#pending.length <= 1) this.#sendEnd()
    return from
  }

  #sendEnd(): void {
    if (this.#trailers !== null) this.bytesOut += this.#owner.sendHeaders(this.id, this.#trailers, true)
    else this.#owner.sendData(this.id, nothing, 0, 0, true)
    this.#ended()
  }

  #ended(): void {
    this.localOpen = false
    this.#holdNothing()
    this.#endAfterPending = false
    this.#owner.finish(this)
  }

  /** Sends waiting bytes after a window opened or the socket drained. Returns whether bytes still wait. */
  pump(now: number): boolean {
    while (this.#pending.length > 0) {
      const bytes = this.#pending[0] as Buffer
      const from = this.#push(bytes, 0, bytes.length)
      if (from > 0) this.movedAt = now
      if (!this.localOpen) return false
      if (from < bytes.length) {
        this.#pending[0] = bytes.subarray(from)
        return true
      }
      this.#pending.shift()
    }
    this.#holdNothing()
    this.taker?.onSent()
    return false
  }

  /** Resets the stream with an error code. */
  reset(code: number = ErrorCode.internalError): void {
    if (this.over) return
    this.#owner.resetStream(this, code)
  }

  /** Stops sending frames. `notify`: calls `onAbort` of the request's taker. */
  abandon(notify: boolean): void {
    this.localOpen = false
    this.remoteOpen = false
    this.#holdNothing()
    this.#endAfterPending = false
    const { taker } = this
    this.taker = null
    if (notify) taker?.onAbort()
  }
}

const nothing = Buffer.alloc(0)
/** Shared by all streams without waiting bytes; never modified. */
const none: Buffer[] = []
