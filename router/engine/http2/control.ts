import type { FloodGuard } from './flood'
import type { Output } from './output'
import type { PeerSettings } from './peer-settings'
import { ErrorCode, Flag, maxStreamId } from './protocol'

/** Handles frames about the whole connection. Each method returns the code of a connection error, or `noError`. */
export class ControlFrames {
  readonly #output: Output
  readonly #guard: FloodGuard
  readonly #peer: PeerSettings

  constructor(output: Output, guard: FloodGuard, peer: PeerSettings) {
    this.#output = output
    this.#guard = guard
    this.#peer = peer
  }

  /** A frame without effect: allowed in small numbers only (§10.5). */
  idle(): number {
    return this.#guard.idleFrame() ? ErrorCode.noError : ErrorCode.enhanceYourCalm
  }

  /** §6.5; the session sends the acknowledgement. */
  settings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): number {
    if (streamId !== 0) return ErrorCode.protocolError
    if (flags & Flag.ack) return end > start ? ErrorCode.frameSizeError : this.idle()
    if ((end - start) % 6 !== 0) return ErrorCode.frameSizeError
    if (!this.#guard.idleFrame()) return ErrorCode.enhanceYourCalm
    return this.#peer.apply(bytes, start, end)
  }

  /** §6.7 */
  ping(flags: number, streamId: number, bytes: Buffer, start: number, end: number): number {
    if (streamId !== 0) return ErrorCode.protocolError
    if (end - start !== 8) return ErrorCode.frameSizeError
    if (!(flags & Flag.ack)) this.#output.pingAck(bytes, start)
    return this.idle()
  }

  /** §6.3. Priorities are deprecated and ignored (§5.3.2), but malformed frames are still errors. */
  priority(streamId: number, bytes: Buffer, start: number, end: number): number {
    if (streamId === 0) return ErrorCode.protocolError
    if (end - start !== 5) return ErrorCode.frameSizeError
    if ((bytes.readUInt32BE(start) & maxStreamId) === streamId) return ErrorCode.protocolError
    return this.idle()
  }

  /** §6.8. After a client's GOAWAY its open streams are still answered. */
  goaway(streamId: number, start: number, end: number): number {
    if (streamId !== 0) return ErrorCode.protocolError
    return end - start < 8 ? ErrorCode.frameSizeError : this.idle()
  }
}
