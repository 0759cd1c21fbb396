import type { Socket } from 'node:net'
import { cut } from '../io/cut'
import { quietProbeMs } from '../upstream/faults'
import { ControlFrames } from './control'
import { ClosedBy, FloodGuard } from './flood'
import { HeaderBlock, stripPadding } from './header-block'
import { Decoded, HpackDecoder } from './hpack/decoder'
import type { Field } from './hpack/field'
import { FrameReader, type FrameSink } from './input'
import { OpenedStreams } from './opened'
import { Output } from './output'
import { maxConcurrentStreams, ownSettings } from './own-settings'
import { PeerSettings } from './peer-settings'
import { defaultWindow, ErrorCode, Flag, FrameType, maxStreamId, maxWindow } from './protocol'
import { areTrailers, cutHead, LastLines, type RequestHead, readRequestHead } from './request-head'
import { H2Stream } from './stream'
import { StreamSet, sessionWindow } from './streams'

/** Stop reading requests while the client leaves more than this many bytes unread. */
const maxBacklog = 1_048_576
/**
 * After an error, keep reading and discarding for this time: closing with unread data resets the connection, and the client could lose the
 * GOAWAY.
 */
const lingerMs = 1_000
/** After this time without a request, a connection releases its optional memory. */
const idleMs = 1_000

export interface SessionLimits {
  maxHeaderBytes: number
  maxHeaders: number
  clientHeadTimeoutMs: number
  clientIdleTimeoutMs: number
  keepAliveMs: number
}

/** Answers the requests of a session. */
export interface SessionHost {
  readonly limits: SessionLimits
  /** The client's address flooded the router recently. */
  readonly suspect: boolean
  /**
   * A well-formed request head. The callee sets `stream.taker`, which receives the rest of the request. `tooLarge`: some fields were
   * dropped.
   */
  onRequest(stream: H2Stream, head: RequestHead, tooLarge: boolean): void
  /** The connection is closed because the client exceeded the flood allowance. */
  onFlood(): void
  onClosed(session: Session): void
}

/** One HTTP/2 connection of a client (RFC 9113): frames in, requests to the host, answers out. */
export class Session implements FrameSink {
  readonly socket: Socket
  readonly #host: SessionHost
  readonly #output: Output
  readonly #reader = new FrameReader(this)
  readonly #decoder: HpackDecoder
  readonly #block: HeaderBlock
  readonly #guard: FloodGuard
  readonly #lastLines = new LastLines()
  readonly #peer = new PeerSettings()
  readonly #control: ControlFrames
  readonly #streams: StreamSet
  readonly #opened: OpenedStreams
  #settled = false
  /** TCP keep-alive is on. */
  #probed = false
  #lastStreamId = 0
  // Streams above this id are refused: the last stream id of our GOAWAY.
  #acceptUpTo = maxStreamId
  #ending = false
  #dead = false
  #now = Date.now()
  // `#idleSince`: when the last stream ended. `#midwaySince`, `#blockSince`: when the unfinished frame or header block began.
  #idleSince = this.#now
  #midwaySince = this.#now
  #blockSince = 0
  #timer: NodeJS.Timeout | undefined

  constructor(socket: Socket, host: SessionHost) {
    this.socket = socket
    this.#host = host
    this.#opened = new OpenedStreams(host)
    this.#guard = new FloodGuard(host.suspect)
    const { maxHeaderBytes, maxHeaders } = host.limits
    // Pseudo-headers are additional to the allowed header lines, and HPACK counts 32 extra bytes per field.
    this.#decoder = new HpackDecoder({ maxListBytes: maxHeaderBytes + maxHeaders * 32, maxFields: maxHeaders + 4 })
    this.#block = new HeaderBlock(maxHeaderBytes + 16_384)
    this.#output = new Output(socket)
    this.#streams = new StreamSet(this.#output, this.#guard, () => this.#onEmpty())
    this.#control = new ControlFrames(this.#output, this.#guard, this.#peer)
    this.#output.settings(ownSettings(maxHeaderBytes))
    this.#output.windowUpdate(0, sessionWindow - defaultWindow)
    socket.on('drain', () => this.#onDrain())
    socket.on('error', () => this.destroy())
    socket.on('end', () => this.destroy())
    socket.on('close', () => this.destroy())
  }

  /** Open streams. */
  get open(): number {
    return this.#streams.size
  }

  /** Receives bytes from the socket. The caller must not change them afterwards. */
  receive(chunk: Buffer): void {
    if (this.#dead) return
    this.#now = Date.now()
    this.#reader.push(chunk)
    this.#opened.begin()
    if (this.#output.backlog > maxBacklog && !this.#dead) this.socket.pause()
  }

  #onDrain(): void {
    if (this.#dead) return
    if (this.socket.isPaused()) this.socket.resume()
    this.#now = Date.now()
    this.#streams.pump(this.#now)
  }

  onBadPreface(): void {
    this.#fail(ErrorCode.protocolError)
  }

  onOversized(): void {
    this.#fail(ErrorCode.frameSizeError)
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    this.#midwaySince = this.#now
    const error = this.#dispatch(type, flags, streamId, bytes, start, end)
    if (error !== ErrorCode.noError) this.#fail(error)
    return !this.#dead
  }

  // Handles a frame. Returns the error code that ends the connection, or `noError`.
  #dispatch(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): number {
    if (!this.#settled) {
      // §3.4: the preface ends with SETTINGS.
      if (type !== FrameType.settings || flags & Flag.ack) return ErrorCode.protocolError
      this.#settled = true
    }
    // §6.10: nothing may come between the parts of a header block.
    if (this.#block.streamId !== 0 && (type !== FrameType.continuation || streamId !== this.#block.streamId)) return ErrorCode.protocolError
    switch (type) {
      case FrameType.data:
        return this.#onDataFrame(flags, streamId, bytes, start, end)
      case FrameType.headers:
        return this.#onHeaders(flags, streamId, bytes, start, end)
      case FrameType.continuation:
        return this.#onContinuation(flags, bytes, start, end)
      case FrameType.windowUpdate:
        return this.#onWindowUpdate(streamId, bytes, start, end)
      case FrameType.rstStream:
        return this.#onRstStream(streamId, end - start)
      case FrameType.settings:
        return this.#onSettings(flags, streamId, bytes, start, end)
      case FrameType.ping:
        return this.#control.ping(flags, streamId, bytes, start, end)
      case FrameType.priority:
        return this.#control.priority(streamId, bytes, start, end)
      case FrameType.goaway:
        return this.#control.goaway(streamId, start, end)
      case FrameType.pushPromise:
        return ErrorCode.protocolError
      default:
        return this.#control.idle() // §5.5: unknown ones are ignored
    }
  }

  #isIdle(streamId: number): boolean {
    return streamId > this.#lastStreamId || (streamId & 1) === 0
  }

  #onDataFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): number {
    this.#opened.begin()
    if (this.#isIdle(streamId)) return ErrorCode.protocolError
    const flow = end - start
    if (!this.#streams.receive(flow)) return ErrorCode.flowControlError
    const payload = stripPadding(flags, bytes, start, end)
    if (payload === null) return ErrorCode.protocolError
    const ends = (flags & Flag.endStream) !== 0
    if (payload.start === payload.end && !ends && !this.#guard.idleFrame()) return ErrorCode.enhanceYourCalm
    const stream = this.#streams.get(streamId)
    if (!stream?.remoteOpen) {
      this.#streams.credit(flow)
      return stream ? this.#streamError(stream, ErrorCode.streamClosed) : this.#lateFrame(streamId)
    }
    stream.recvWindow -= flow
    stream.movedAt = this.#now
    if (stream.recvWindow < 0) {
      this.#streams.credit(flow)
      return this.#streamError(stream, ErrorCode.flowControlError)
    }
    if (!stream.receive(bytes, payload.start, payload.end, flow)) {
      this.#streams.credit(flow)
      return this.#streamError(stream, ErrorCode.protocolError)
    }
    return ends ? this.#endRemote(stream, null) : ErrorCode.noError
  }

  #endRemote(stream: H2Stream, trailers: readonly Field[] | null): number {
    if (!stream.receiveEnd(trailers)) return this.#streamError(stream, ErrorCode.protocolError)
    if (stream.over) this.#streams.forget(stream, ClosedBy.end)
    return ErrorCode.noError
  }

  /** DATA or a header block on a stream that is closed (§5.1). */
  #lateFrame(streamId: number): number {
    switch (this.#streams.howClosed(streamId)) {
      case ClosedBy.us:
        return this.#control.idle()
      case ClosedBy.client:
        this.#output.rstStream(streamId, ErrorCode.streamClosed)
        return this.#guard.reset() ? ErrorCode.noError : ErrorCode.enhanceYourCalm
      case ClosedBy.end:
        return ErrorCode.streamClosed
      default:
        return ErrorCode.protocolError
    }
  }

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): number {
    if ((streamId & 1) === 0) return ErrorCode.protocolError
    const payload = stripPadding(flags, bytes, start, end)
    if (payload === null) return ErrorCode.protocolError
    let from = payload.start
    let dependsOnItself = false
    if (flags & Flag.priority) {
      if (payload.end - from < 5) return ErrorCode.frameSizeError
      dependsOnItself = (bytes.readUInt32BE(from) & maxStreamId) === streamId
      from += 5
    }
    if (dependsOnItself) return ErrorCode.protocolError
    const ends = (flags & Flag.endStream) !== 0
    if (flags & Flag.endHeaders) return this.#onBlock(streamId, ends, bytes, from, payload.end)
    this.#blockSince = this.#now
    return this.#block.begin(streamId, ends, bytes.subarray(from, payload.end))
  }

  #onContinuation(flags: number, bytes: Buffer, start: number, end: number): number {
    const { streamId, endStream } = this.#block
    if (streamId === 0) return ErrorCode.protocolError
    const error = this.#block.continue(bytes.subarray(start, end))
    if (error !== ErrorCode.noError || !(flags & Flag.endHeaders)) return error
    const block = this.#block.take()
    return this.#onBlock(streamId, endStream, block, 0, block.length)
  }

  /** Handles a complete header block. Always decodes it, even for refused streams, because all streams share the dynamic table (§4.3). */
  #onBlock(streamId: number, ends: boolean, bytes: Buffer, start: number, end: number): number {
    const fields: Field[] = []
    const decoded = this.#decoder.decode(bytes, start, end, fields)
    if (decoded === Decoded.corrupt) return ErrorCode.compressionError
    if (streamId > this.#lastStreamId) return this.#open(streamId, fields, ends, decoded === Decoded.tooLarge, end - start)
    this.#opened.begin()
    const stream = this.#streams.get(streamId)
    if (!stream) return this.#lateFrame(streamId)
    if (!stream.remoteOpen) return this.#streamError(stream, ErrorCode.streamClosed)
    // §8.1: a second block is the trailers, which end the stream.
    if (!ends || decoded === Decoded.tooLarge || !areTrailers(fields)) return this.#streamError(stream, ErrorCode.protocolError)
    return this.#endRemote(stream, fields)
  }

  #open(streamId: number, fields: Field[], ends: boolean, tooLarge: boolean, blockBytes: number): number {
    this.#lastStreamId = streamId
    this.#guard.earnWindowUpdates()
    if (streamId > this.#acceptUpTo || this.#streams.size >= maxConcurrentStreams) return this.#refuse(streamId, ErrorCode.refusedStream)
    const head = readRequestHead(fields, ends, this.#lastLines)
    if (head === null && !tooLarge) return this.#refuse(streamId, ErrorCode.protocolError)
    const stream = new H2Stream(this.#streams, streamId, this.#peer.initialWindow, !ends, head?.contentLength ?? -1, this.#now)
    this.#streams.add(stream)
    stream.bytesIn = blockBytes
    this.#opened.add(stream, head ?? cutHead(fields, ends), tooLarge)
    return ErrorCode.noError
  }

  #refuse(streamId: number, code: number): number {
    this.#streams.refuse(streamId, code)
    return this.#guard.reset() ? ErrorCode.noError : ErrorCode.enhanceYourCalm
  }

  #streamError(stream: H2Stream, code: number): number {
    this.#streams.resetStream(stream, code)
    return this.#guard.reset() ? ErrorCode.noError : ErrorCode.enhanceYourCalm
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): number {
    if (end - start !== 4) return ErrorCode.frameSizeError
    if (!this.#guard.windowUpdate()) return ErrorCode.enhanceYourCalm
    const increment = bytes.readUInt32BE(start) & maxWindow
    if (streamId === 0) {
      if (increment === 0) return ErrorCode.protocolError
      const error = this.#streams.openWindow(increment)
      this.#streams.pump(this.#now)
      return error
    }
    const stream = this.#streams.get(streamId)
    if (!stream) return this.#isIdle(streamId) ? ErrorCode.protocolError : ErrorCode.noError
    if (increment === 0) return this.#streamError(stream, ErrorCode.protocolError)
    stream.sendWindow += increment
    if (stream.sendWindow > maxWindow) return this.#streamError(stream, ErrorCode.flowControlError)
    if (stream.waiting) this.#streams.pump(this.#now)
    return ErrorCode.noError
  }

  #onRstStream(streamId: number, length: number): number {
    if (length !== 4) return ErrorCode.frameSizeError
    if (this.#isIdle(streamId)) return ErrorCode.protocolError
    const stream = this.#streams.get(streamId)
    if (!stream) return this.#control.idle()
    this.#streams.forget(stream, ClosedBy.client)
    stream.abandon(true)
    return this.#guard.reset() ? ErrorCode.noError : ErrorCode.enhanceYourCalm
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): number {
    const before = this.#peer.initialWindow
    const error = this.#control.settings(flags, streamId, bytes, start, end)
    if (error !== ErrorCode.noError || flags & Flag.ack) return error
    if (this.#streams.shiftWindows(this.#peer.initialWindow - before) !== ErrorCode.noError) return ErrorCode.flowControlError
    this.#output.settingsAck()
    this.#streams.pump(this.#now)
    return ErrorCode.noError
  }

  // Closing the connection.

  /** A connection error (§5.4.1): every stream is lost, and the client gets the error code. */
  #fail(code: number, flood = code === ErrorCode.enhanceYourCalm): void {
    if (this.#dead) return
    this.#abandonAll()
    this.#output.endWith(this.#lastStreamId, code)
    if (flood) this.#host.onFlood()
    // Stop reading: decrypting flood traffic costs us more than it costs the sender.
    this.socket[flood ? 'pause' : 'resume']()
    clearTimeout(this.#timer)
    this.#timer = setInterval(() => {
      // Keep the connection while the client still reads an answer.
      const stays = code === ErrorCode.noError && this.#output.backlog > 0
      if (!stays || this.#output.stuckFor(Date.now()) > this.#host.limits.clientIdleTimeoutMs) this.socket.destroy()
    }, lingerMs)
  }

  #abandonAll(): void {
    this.#dead = true
    this.#streams.abandonAll()
  }

  #onEmpty(): void {
    this.#idleSince = this.#now
    // Defer: frames of the last answer may not be in the output yet.
    if (this.#acceptUpTo !== maxStreamId) setImmediate(() => this.#streams.size === 0 && this.#fail(ErrorCode.noError))
  }

  #cut(): void {
    cut(this.socket)
    this.destroy()
  }

  /** Drops the connection at once. */
  destroy(): void {
    clearTimeout(this.#timer)
    if (!this.#dead) {
      this.#abandonAll()
      this.#output.close()
    }
    this.socket.destroy()
    this.#host.onClosed(this)
  }

  /**
   * Finishes the open streams, then closes. First sends a GOAWAY that only announces the end; after `graceMs`, when requests in flight have
   * arrived, sends a GOAWAY with the last stream that is served (§6.8).
   */
  drain(graceMs: number): void {
    if (this.#dead || this.#ending) return
    this.#ending = true
    this.#output.goaway(maxStreamId, ErrorCode.noError)
    this.#timer = setTimeout(() => this.#lastCall(), graceMs)
  }

  #lastCall(): void {
    if (this.#dead) return
    this.#ending = true
    this.#acceptUpTo = this.#lastStreamId
    if (this.#streams.size === 0) this.#fail(ErrorCode.noError)
    else this.#output.goaway(this.#lastStreamId, ErrorCode.noError)
  }

  /** Call periodically with the time in ms: ends streams that waited too long for the client. */
  tick(now: number): void {
    if (this.#dead) return
    this.#now = now
    const { clientHeadTimeoutMs, clientIdleTimeoutMs, keepAliveMs } = this.#host.limits
    if (this.#midwayTooLong(now, clientHeadTimeoutMs, clientIdleTimeoutMs)) this.#fail(ErrorCode.enhanceYourCalm, false)
    else if (this.#output.stuckFor(now) > clientIdleTimeoutMs) this.#cut()
    else if (this.#streams.size > 0) this.#tickStreams(now, clientIdleTimeoutMs)
    else if (now - this.#idleSince > keepAliveMs) this.#lastCall()
    else if (now - this.#idleSince > idleMs) this.#lastLines.clear()
  }

  // TCP keep-alive detects a client that disconnected while it waits for a slow answer.
  #tickStreams(now: number, clientIdleTimeoutMs: number): void {
    if (!this.#probed) this.socket.setKeepAlive(true, quietProbeMs)
    this.#probed = true
    this.#streams.tick(now, clientIdleTimeoutMs)
  }

  #midwayTooLong(now: number, headLimitMs: number, bodyLimitMs: number): boolean {
    if (this.#block.streamId !== 0 && now - this.#blockSince > headLimitMs) return true
    const silence = now - this.#midwaySince
    return !this.#settled || this.#reader.inHead ? silence > headLimitMs : this.#reader.midway && silence > bodyLimitMs
  }
}
