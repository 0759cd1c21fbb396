import type { Socket } from 'node:net'

/** Buffer bytes kept between lines that arrive in pieces. */
const keptRoomBytes = 256 * 1024

/**
 * Splits a stream into lines of at most `maxBytes`; a longer line is an error, so memory stays bounded. Lines are views of the received
 * chunk or of a reused buffer: copy a line to keep it.
 */
export class LineReader {
  #room: Buffer = Buffer.alloc(0)
  #size = 0
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Yields the lines that are complete after this chunk, each with its line end. @throws Error when a line is too long. */
  *take(chunk: Buffer): Generator<Buffer> {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const piece = chunk.subarray(start, end + 1)
      start = end + 1
      if (this.#size === 0) yield this.#bounded(piece)
      else {
        this.#keep(piece)
        const line = this.#room.subarray(0, this.#size)
        this.#size = 0
        yield line
        if (this.#room.length > keptRoomBytes) this.#room = Buffer.alloc(0)
      }
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
  }

  #bounded(piece: Buffer): Buffer {
    if (this.#size + piece.length > this.#maxBytes) throw new Error(`a frame is longer than ${this.#maxBytes} bytes`)
    return piece
  }

  #keep(piece: Buffer): void {
    const size = this.#size + this.#bounded(piece).length
    if (size > this.#room.length) {
      const room = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, Math.max(size, this.#room.length * 2, keptRoomBytes)))
      this.#room.copy(room, 0, 0, this.#size)
      this.#room = room
    }
    piece.copy(this.#room, this.#size)
    this.#size = size
  }
}

/** Reads newline-delimited JSON of bounded length from a stream socket. */
export class FrameReader {
  readonly #lines: LineReader
  readonly #onFrame: (frame: unknown) => void

  constructor(maxBytes: number, onFrame: (frame: unknown) => void) {
    this.#lines = new LineReader(maxBytes)
    this.#onFrame = onFrame
  }

  /** Parses a received chunk. @throws Error when a line is too long or is not JSON; close the connection then. */
  push(chunk: Buffer): void {
    for (const line of this.#lines.take(chunk)) {
      const frame = decodeFrame(line)
      if (frame !== undefined) this.#onFrame(frame)
    }
  }
}

/** Parses a line; undefined: empty line. @throws SyntaxError when it is not JSON. */
export function decodeFrame(line: Buffer): unknown {
  const text = line.toString('utf8')
  return text.trim() === '' ? undefined : JSON.parse(text)
}

/** Encodes a message as one line of JSON. */
export function encodeFrame(message: unknown): string {
  return `${JSON.stringify(message)}\n`
}

/** Writes a frame; returns false when the socket is closed. */
export function sendFrame(socket: Socket, message: unknown): boolean {
  if (socket.destroyed || !socket.writable) return false
  socket.write(encodeFrame(message))
  return true
}
