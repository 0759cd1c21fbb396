import type { Duplex } from 'node:stream'

const slabBytes = 65_536

/** The memory that outgoing messages are put together in. A region that was handed to a socket is not written again. */
class Slab {
  bytes = Buffer.allocUnsafeSlow(slabBytes)
  at = 0

  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return
    this.bytes = Buffer.allocUnsafeSlow(Math.max(size, slabBytes))
    this.at = 0
  }
}

const slab = new Slab()
const nothing = Buffer.alloc(0)
const hexDigits = Buffer.from('0123456789abcdef')

/**
 * Bytes on their way to one socket, gathered so that a head and the first bytes of its body leave in one write. Whoever writes calls
 * `flush` when it has no more for now.
 */
export class Outbox {
  readonly socket: Duplex
  /** All bytes that were given to the socket. */
  sent = 0
  #bytes: Buffer = nothing
  #from = 0
  #to = 0

  constructor(socket: Duplex) {
    this.socket = socket
  }

  /** Whether there is something that was not flushed. */
  get gathered(): number {
    return this.#to - this.#from
  }

  /** Room for `size` bytes right behind what is gathered; what cannot be continued in place is sent first. */
  #room(size: number): Buffer {
    if (this.#to > this.#from) {
      if (this.#bytes === slab.bytes && slab.at === this.#to && this.#to + size <= slab.bytes.length) return this.#bytes
      this.flush()
    }
    slab.reserve(size)
    this.#bytes = slab.bytes
    this.#from = this.#to = slab.at
    return this.#bytes
  }

  /** Copies `source` from `start` to `end`. */
  put(source: Buffer, start: number, end: number): void {
    const size = end - start
    const bytes = this.#room(size)
    const at = this.#to
    if (size <= 24) for (let i = 0; i < size; i++) bytes[at + i] = source[start + i] as number
    else source.copy(bytes, at, start, end)
    this.#to = slab.at = at + size
  }

  putAll(source: Buffer): void {
    this.put(source, 0, source.length)
  }

  /** Latin-1 text. */
  text(text: string): void {
    const bytes = this.#room(text.length)
    bytes.write(text, this.#to, 'latin1')
    this.#to = slab.at = this.#to + text.length
  }

  /** The line before a chunk of `size` bytes. */
  chunkSize(size: number): void {
    const bytes = this.#room(16)
    let at = this.#to
    let shift = 0
    while (size >= 16 ** (shift / 4 + 1)) shift += 4
    for (; shift >= 0; shift -= 4) bytes[at++] = hexDigits[Math.floor(size / 2 ** shift) & 15] as number
    bytes[at++] = 13
    bytes[at++] = 10
    this.#to = slab.at = at
  }

  /** Takes out what is gathered, as a view that stays as it is; the caller writes it. */
  seal(): Buffer {
    const view = this.#bytes.subarray(this.#from, this.#to)
    this.#bytes = nothing
    this.#from = this.#to = 0
    return view
  }

  /** What is gathered and not yet flushed. */
  view(): Buffer {
    return this.#bytes.subarray(this.#from, this.#to)
  }

  /** Gives what is gathered to the socket. False: the other side is slow, wait for `drain` before giving more. */
  flush(): boolean {
    if (this.#to === this.#from) return this.socket.writableLength < this.socket.writableHighWaterMark
    return this.write(this.seal())
  }

  /** Writes bytes that nobody will change, without copying them. */
  write(bytes: Buffer): boolean {
    if (this.#to > this.#from) this.flush()
    this.sent += bytes.length
    return this.socket.writable ? this.socket.write(bytes) : true
  }

  /** Forgets what was not flushed. */
  discard(): void {
    this.#bytes = nothing
    this.#from = this.#to = 0
  }
}

/** Where sockets with `onread` put what they read: one for all, since each callback takes what it wants before it returns. */
export const readBuffer = Buffer.allocUnsafeSlow(65_536)
