import type { Socket } from 'node:net'

/**
 * Newline-delimited JSON over a stream socket, bounded: a peer that sends a longer line than `maxBytes` is an error, never memory.
 * Chunks of an unfinished line are kept in a list and joined once, so a large frame costs one copy.
 */
export class FrameReader {
  #parts: Buffer[] = []
  #size = 0
  readonly #maxBytes: number
  readonly #onFrame: (frame: unknown) => void

  constructor(maxBytes: number, onFrame: (frame: unknown) => void) {
    this.#maxBytes = maxBytes
    this.#onFrame = onFrame
  }

  /** Feeds what arrived. @throws Error when a line is too long or is not JSON: the connection is then of no more use. */
  push(chunk: Buffer): void {
    let rest = chunk
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      this.#keep(rest.subarray(0, end))
      const line = Buffer.concat(this.#parts).toString('utf8')
      this.#parts = []
      this.#size = 0
      rest = rest.subarray(end + 1)
      if (line.trim() !== '') this.#onFrame(JSON.parse(line))
    }
    this.#keep(rest)
  }

  #keep(part: Buffer): void {
    this.#size += part.length
    if (this.#size > this.#maxBytes) throw new Error(`a frame is longer than ${this.#maxBytes} bytes`)
    if (part.length > 0) this.#parts.push(part)
  }
}

/** One frame as it goes over the wire. */
export function encodeFrame(message: unknown): string {
  return `${JSON.stringify(message)}\n`
}

/** Writes a frame unless the peer is gone; returns false when it is. */
export function sendFrame(socket: Socket, message: unknown): boolean {
  if (socket.destroyed || !socket.writable) return false
  socket.write(encodeFrame(message))
  return true
}
