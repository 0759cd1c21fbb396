/** RFC 6455 frames, to the extent that a proxy needs to insert its own frame between two frames of an instance. */

/** Registered close code of RFC 6455: the server restarts, and the client may reconnect at once. */
const serviceRestart = 1012

/** A server's close frame. The reason is at most 123 bytes. */
function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason)
  const frame = Buffer.alloc(4 + text.length)
  frame[0] = 0x88
  frame[1] = 2 + text.length
  frame.writeUInt16BE(code, 2)
  text.copy(frame, 4)
  return frame
}

/** The close frame (1012) for clients whose instance or router is about to stop. */
export const restartFrame: Buffer = closeFrame(serviceRestart, 'Service restart: connect again.')

const opcode = 0
const length = 1
const rest = 2
const payload = 3

/** Tracks frame boundaries in a byte stream that arrives in arbitrary pieces. */
export class FrameBoundary {
  #at = opcode
  #lengthBytes = 0
  #maskBytes = 0
  #left = 0

  /** The bytes so far end at a frame boundary. */
  get between(): boolean {
    return this.#at === opcode
  }

  /** Advances over bytes. Returns the offset after them, or with `stop` the offset after the first complete frame. */
  take(bytes: Buffer, start: number, end: number, stop = false): number {
    let at = start
    while (at < end) {
      if (this.#at === payload) {
        const size = Math.min(this.#left, end - at)
        at += size
        this.#left -= size
      } else this.#readHead(bytes[at++] as number)
      if (this.#at < rest || this.#lengthBytes + this.#maskBytes > 0) continue
      this.#at = this.#left > 0 ? payload : opcode
      if (stop && this.#at === opcode) return at
    }
    return at
  }

  #readHead(byte: number): void {
    if (this.#at === opcode) this.#at = length
    else if (this.#at === length) {
      const short = byte & 0x7f
      this.#lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
      this.#maskBytes = byte & 0x80 ? 4 : 0
      this.#left = this.#lengthBytes > 0 ? 0 : short
      this.#at = rest
    } else if (this.#lengthBytes > 0) {
      this.#left = this.#left * 256 + byte
      this.#lengthBytes--
    } else this.#maskBytes--
  }
}
