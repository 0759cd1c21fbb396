import { clientPreface, FrameType, frameHeaderBytes, maxFrameBytes } from './protocol'

/** Receives whole frames. Payloads are bytes `start` to `end`; `bytes` is never overwritten, so views of it may be kept. */
export interface FrameSink {
  /** Returns false to stop reading. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean
  /** The connection does not start with the HTTP/2 preface (RFC 9113 §3.4). */
  onBadPreface(): void
  /** A frame is longer than SETTINGS_MAX_FRAME_SIZE (§4.2). */
  onOversized(): void
}

/**
 * Splits a connection's bytes into frames. A frame that is complete in the read buffer is passed as a view. A partial frame is collected in
 * a separate buffer that grows with the bytes received, not with the announced length.
 */
export class FrameReader {
  readonly #sink: FrameSink
  #prefaceLeft = clientPreface.length
  #held: Buffer | null = null
  #have = 0

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** The preface or a frame is incomplete. */
  get midway(): boolean {
    return this.#have > 0 || this.#prefaceLeft > 0
  }

  /** The incomplete frame is part of a request head. */
  get inHead(): boolean {
    const type = this.#have > 3 ? this.#held?.[3] : undefined
    return type === FrameType.headers || type === FrameType.continuation
  }

  push(chunk: Buffer): void {
    let at = 0
    if (this.#prefaceLeft > 0) {
      const length = Math.min(this.#prefaceLeft, chunk.length)
      const from = clientPreface.length - this.#prefaceLeft
      if (clientPreface.compare(chunk, 0, length, from, from + length) !== 0) {
        this.#sink.onBadPreface()
        return
      }
      this.#prefaceLeft -= length
      at = length
    }
    if (this.#have > 0) {
      at = this.#complete(chunk, at)
      if (at < 0) return
    }
    this.#whole(chunk, at)
  }

  /** Passes on the frames that are complete in `chunk` and keeps the rest. */
  #whole(chunk: Buffer, from: number): void {
    let at = from
    const { length } = chunk
    while (length - at >= frameHeaderBytes) {
      const size = payloadSize(chunk, at)
      if (size > maxFrameBytes) {
        this.#sink.onOversized()
        return
      }
      const end = at + frameHeaderBytes + size
      if (end > length) break
      if (!this.#sink.onFrame(chunk[at + 3] as number, chunk[at + 4] as number, streamIdOf(chunk, at), chunk, at + frameHeaderBytes, end)) return
      at = end
    }
    if (at < length) this.#hold(chunk, at, length)
  }

  /** Adds to the incomplete frame. Returns the position in `chunk` after it, or -1 when the chunk is used up or reading has stopped. */
  #complete(chunk: Buffer, from: number): number {
    let at = from
    if (this.#have < frameHeaderBytes) {
      const take = Math.min(frameHeaderBytes - this.#have, chunk.length - at)
      this.#hold(chunk, at, at + take)
      at += take
      if (this.#have < frameHeaderBytes) return -1
    }
    const held = this.#held as Buffer
    const size = payloadSize(held, 0)
    if (size > maxFrameBytes) {
      this.#sink.onOversized()
      return -1
    }
    const take = Math.min(frameHeaderBytes + size - this.#have, chunk.length - at)
    this.#hold(chunk, at, at + take)
    if (this.#have < frameHeaderBytes + size) return -1
    const frame = this.#held as Buffer
    this.#held = null
    this.#have = 0
    const wanted = this.#sink.onFrame(frame[3] as number, frame[4] as number, streamIdOf(frame, 0), frame, frameHeaderBytes, frameHeaderBytes + size)
    return wanted ? at + take : -1
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const needed = this.#have + end - start
    if (this.#held === null || this.#held.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.min(maxFrameBytes + frameHeaderBytes, Math.max(needed * 2, 64)))
      if (this.#held !== null) this.#held.copy(grown, 0, 0, this.#have)
      this.#held = grown
    }
    chunk.copy(this.#held, this.#have, start, end)
    this.#have = needed
  }
}

const payloadSize = (bytes: Buffer, at: number) => ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)

const streamIdOf = (bytes: Buffer, at: number) =>
  (((bytes[at + 5] as number) & 0x7f) << 24) | ((bytes[at + 6] as number) << 16) | ((bytes[at + 7] as number) << 8) | (bytes[at + 8] as number)
