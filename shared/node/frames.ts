import type { Socket } from 'node:net'

/**
 * Lines out of a stream, bounded: a peer that sends a longer one than `maxBytes` is an error, never memory.
 * Chunks of an unfinished line are kept in a list and joined once, so a large line costs one copy.
 */
export class LineReader {
  #parts: Buffer[] = []
  #size = 0
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The lines that end in what arrived, each with its line end. @throws Error when one is too long. */
  *take(chunk: Buffer): Generator<Buffer> {
    let rest = chunk
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      this.#keep(rest.subarray(0, end + 1))
      const line = Buffer.concat(this.#parts)
      this.#parts = []
      this.#size = 0
      rest = rest.subarray(end + 1)
      yield line
    }
    this.#keep(rest)
  }

  #keep(part: Buffer): void {
    this.#size += part.length
    if (this.#size > this.#maxBytes) throw new Error(`a frame is longer than ${this.#maxBytes} bytes`)
    if (part.length > 0) this.#parts.push(part)
  }
}

/** Newline-delimited JSON over a stream socket, bounded as lines are. */
export class FrameReader {
  readonly #lines: LineReader
  readonly #onFrame: (frame: unknown) => void

  constructor(maxBytes: number, onFrame: (frame: unknown) => void) {
    this.#lines = new LineReader(maxBytes)
    this.#onFrame = onFrame
  }

  /** Feeds what arrived. @throws Error when a line is too long or is not JSON: the connection is then of no more use. */
  push(chunk: Buffer): void {
    for (const line of this.#lines.take(chunk)) {
      const frame = decodeFrame(line)
      if (frame !== undefined) this.#onFrame(frame)
    }
  }
}

/** What a line says; undefined: nothing. @throws SyntaxError when it is not JSON. */
export function decodeFrame(line: Buffer): unknown {
  const text = line.toString('utf8')
  return text.trim() === '' ? undefined : JSON.parse(text)
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
