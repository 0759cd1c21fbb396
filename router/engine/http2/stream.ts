import { slowReaders } from '../io/load-gauge'
import type { Field } from './hpack/field'
import { ErrorCode, frameHeaderBytes, maxFrameBytes } from './protocol'

/** Receives the body of a request, and the signal to send more of its answer. */
export interface RequestTaker {
  /** Bytes of the body; they may be kept. false: no more until `stream.resume` was called. */
  takeBody(bytes: Buffer): boolean
  /** The request is whole. */
  takeEnd(trailers: readonly Field[] | null): void
  /** The client reset the stream, or the connection is gone: nothing can be answered any more. */
  onAbort(): void
  /** What was written has left, after `write` returned false. */
  onSent(): void
  /** The client owes body bytes and has been silent for too long. */
  onSilence(): void
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** How much DATA the connection's window and the client's reading allow now, at most `wanted` bytes. */
  sendable(wanted: number): number
  sendData(streamId: number, bytes: Buffer, start: number, end: number, endStream: boolean): void
  /** Returns how many bytes that is. */
  sendHeaders(streamId: number, fields: readonly Buffer[], endStream: boolean): number
  /** Bytes of DATA are dealt with: the client may send as many again. */
  credit(bytes: number): void
  creditStream(streamId: number, bytes: number): void
  /** The stream has something to send as soon as it can be sent. */
  wait(stream: H2Stream): void
  /** We reset it. */
  resetStream(stream: H2Stream, code: number): void
  /** Both directions are over, or ours is and the rest of the request is not wanted. */
  finish(stream: H2Stream): void
}

/** What we let a client send on one stream ahead of what the instance takes. */
export const streamWindow = 262_144

/** One request and its answer: half a state machine for each direction, with flow control. */
export class H2Stream {
  readonly id: number
  readonly #owner: StreamOwner
  /** null: not dispatched yet, or over. */
  taker: RequestTaker | null = null
  /** On the wire for this stream, framing included. */
  bytesIn = 0
  bytesOut = 0
  /** May become negative when the client makes its windows smaller (RFC 9113 §6.9.2). */
  sendWindow: number
  recvWindow = streamWindow
  /** The client has not ended its side. */
  remoteOpen: boolean
  /** We have not ended ours. */
  localOpen = true
  headSent = false
  /** In the owner's list of those that wait. */
  waiting = false
  /** When something last moved, in ms: for time-outs. */
  movedAt: number
  // Bytes of body still to come by Content-Length; -1: unknown.
  #bodyLeft: number
  #owed = 0
  // Given to the taker while it said "no more".
  #withheld = 0
  #held = false
  #pending: Buffer[] = none
  /** Bytes of an instance are held for a client that does not take them. */
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

  /** The taker has enough body for now: its silence is ours. */
  get heldBack(): boolean {
    return this.#held
  }

  /** Bytes of the answer that wait for the client. */
  get pendingBytes(): number {
    let bytes = 0
    for (const run of this.#pending) bytes += run.length
    return bytes
  }

  // From the client.

  /** Body bytes; `flow` counts padding, too. Returns false when they disagree with Content-Length (§8.1.1). */
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

  /** END_STREAM. Returns false when bytes are missing. */
  receiveEnd(trailers: readonly Field[] | null): boolean {
    if (this.#bodyLeft > 0) return false
    this.remoteOpen = false
    this.taker?.takeEnd(trailers)
    return true
  }

  /** The taker takes body again. */
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

  /** Flow-controlled bytes that were taken and will never be dealt with: the connection's window gets them back. */
  forfeit(): number {
    const flow = this.#withheld
    this.#withheld = 0
    return flow
  }

  // To the client. After `over` or a reset they do nothing.

  /** An interim answer (1xx). */
  inform(fields: readonly Buffer[]): void {
    if (this.localOpen && !this.headSent) this.bytesOut += this.#owner.sendHeaders(this.id, fields, false)
  }

  /** The head of the answer: encoded fields, `:status` first. */
  respond(fields: readonly Buffer[], endStream: boolean): void {
    if (!this.localOpen || this.headSent) return
    this.headSent = true
    this.bytesOut += this.#owner.sendHeaders(this.id, fields, endStream)
    if (endStream) this.#ended()
  }

  /**
   * Body bytes; `last` ends the answer. They are copied before this returns, but for `lasting` ones, which nobody changes any more: what
   * the router holds anyway is not held again for everybody who is slow. false: they wait for the client, and so should the next ones;
   * `onSent` is called when they are gone.
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

  /** Ends the answer, with encoded trailer fields where there are any. */
  end(trailers: readonly Buffer[] | null): void {
    if (!this.localOpen) return
    this.#trailers = trailers
    this.#endAfterPending = true
    if (this.#pending.length === 0) this.#push(nothing, 0, 0)
  }

  /** Sends what the windows allow; returns where it stopped. Ends the stream's side when everything is out and nothing will follow. */
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

  /** Windows opened, or the socket has room. Returns whether something still waits. */
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
/** Shared by all streams that have nothing to wait for: never added to. */
const none: Buffer[] = []
