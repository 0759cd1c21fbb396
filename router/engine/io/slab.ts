import type { Duplex } from 'node:stream'

const slabBytes = 65_536
/** Below this length a loop is faster than Buffer's copy. */
const byHand = 48

const nothing = Buffer.alloc(0)
const hexDigits = Buffer.from('0123456789abcdef')

/** Views up to this length are cached: creating a view costs as much as parsing a small head. */
const longestKeptView = 4_096

/**
 * Shared memory in which outgoing messages are composed, used by one outbox at a time. Bytes that a socket still holds are not overwritten.
 */
const slab: { bytes: Buffer; at: number; writer: Outbox | null; views: (Buffer | undefined)[] } = {
  bytes: Buffer.allocUnsafeSlow(slabBytes),
  at: 0,
  writer: null,
  views: [],
}

/** A view of the first `size` bytes of the slab. */
function firstBytes(size: number): Buffer {
  const known = slab.views[size]
  if (known !== undefined) return known
  const view = slab.bytes.subarray(0, size)
  // Fill the gap: V8 would turn a sparse array into a dictionary.
  while (slab.views.length <= size) slab.views.push(undefined)
  slab.views[size] = view
  return view
}

/**
 * Composes bytes for one socket, so that a head and the first bytes of its body are sent in one write. Writers call `flush` when they have
 * no more for now.
 */
export class Outbox {
  readonly socket: Duplex
  /** Total bytes passed to the socket. */
  sent = 0
  #bytes: Buffer = nothing
  #from = 0
  #to = 0
  /** End of the writable range; equals `#to` after another outbox took over the slab. */
  #limit = 0
  /** A view of the composed bytes was handed out. */
  #viewed = false
  /** Separate memory for the first bytes after `restart`. */
  #own: Buffer | null = null
  #ownView: Buffer = nothing
  #ownFree = false

  constructor(socket: Duplex) {
    this.socket = socket
  }

  /**
   * Starts a message; earlier messages are no longer needed. Its first `size` bytes are composed in memory of this outbox, so they remain
   * valid until the next `restart`.
   */
  restart(size: number): void {
    this.#ownFree = this.socket.writableLength === 0
    if (this.#ownFree) this.#own ??= Buffer.allocUnsafeSlow(size)
  }

  /** Number of bytes that were not flushed yet. */
  get gathered(): number {
    return this.#to - this.#from
  }

  /** Makes room for `size` bytes; flushes first if they do not fit. */
  #room(size: number): void {
    if (this.#to > this.#from) this.flush()
    if (this.#ownFree && this.#own !== null) {
      this.#ownFree = false
      if (size <= this.#own.length) {
        this.#bytes = this.#own
        this.#from = this.#to = 0
        this.#limit = this.#own.length
        return
      }
    }
    if (slab.writer !== null) slab.writer.#yield()
    if (slab.at + size > slab.bytes.length) {
      slab.bytes = Buffer.allocUnsafeSlow(Math.max(size, slabBytes))
      slab.at = 0
      slab.views = []
    }
    slab.writer = this
    this.#bytes = slab.bytes
    this.#from = this.#to = slab.at
    this.#limit = slab.bytes.length
  }

  /** Keeps the next `size` bytes contiguous, so that they can be read back in one piece. */
  reserve(size: number): void {
    if (this.#to + size > this.#limit) this.#room(size)
  }

  #yield(): void {
    slab.at = this.#to
    slab.writer = null
    this.#limit = this.#to
  }

  /** Copies `source` from `start` to `end`. */
  put(source: Buffer, start: number, end: number): void {
    const size = end - start
    if (this.#to + size > this.#limit) this.#room(size)
    const at = this.#to
    if (size <= byHand) {
      const bytes = this.#bytes
      for (let i = 0; i < size; i++) bytes[at + i] = source[start + i] as number
    } else source.copy(this.#bytes, at, start, end)
    this.#to = at + size
  }

  putAll(source: Buffer): void {
    const size = source.length
    if (this.#to + size > this.#limit) this.#room(size)
    const at = this.#to
    if (size <= byHand) {
      const bytes = this.#bytes
      for (let i = 0; i < size; i++) bytes[at + i] = source[i] as number
    } else this.#bytes.set(source, at)
    this.#to = at + size
  }

  /** Writes latin1 text. */
  text(text: string): void {
    if (this.#to + text.length > this.#limit) this.#room(text.length)
    this.#bytes.write(text, this.#to, 'latin1')
    this.#to += text.length
  }

  /** Writes the size line of a chunk of `size` bytes. */
  chunkSize(size: number): void {
    if (this.#to + 16 > this.#limit) this.#room(16)
    const bytes = this.#bytes
    let at = this.#to
    let shift = 0
    while (size >= 16 ** (shift / 4 + 1)) shift += 4
    for (; shift >= 0; shift -= 4) bytes[at++] = hexDigits[Math.floor(size / 2 ** shift) & 15] as number
    bytes[at++] = 13
    bytes[at++] = 10
    this.#to = at
  }

  /** Removes and returns the composed bytes as an immutable view; the caller writes it. */
  seal(): Buffer {
    const view = this.#view()
    this.#forget()
    return view
  }

  #view(): Buffer {
    const size = this.#to
    if (this.#from !== 0) return this.#bytes.subarray(this.#from, size)
    if (this.#bytes === slab.bytes && size <= longestKeptView) return firstBytes(size)
    if (this.#bytes !== this.#own) return this.#bytes.subarray(0, size)
    if (this.#ownView.length !== size) this.#ownView = this.#own.subarray(0, size)
    return this.#ownView
  }

  #forget(): void {
    if (slab.writer === this) this.#yield()
    this.#bytes = nothing
    this.#from = this.#to = this.#limit = 0
    this.#viewed = false
  }

  /** The bytes that were not flushed yet; the view remains valid. */
  view(): Buffer {
    this.#viewed = true
    return this.#view()
  }

  /** Passes the composed bytes to the socket. False: the peer is slow; wait for `drain`. */
  flush(): boolean {
    const { socket } = this
    if (this.#to === this.#from) return socket.writableLength < socket.writableHighWaterMark
    const from = this.#from
    const again = !this.#viewed && slab.writer === this
    const view = this.seal()
    this.sent += view.length
    if (!socket.writable) return true
    const ready = socket.write(view)
    // The kernel has taken all bytes: this part of the slab can be reused.
    if (again && socket.writableLength === 0 && slab.writer === null && slab.at === from + view.length) slab.at = from
    return ready
  }

  /** Writes bytes without copying them. They must not change afterwards. */
  write(bytes: Buffer): boolean {
    if (this.#to > this.#from) this.flush()
    this.sent += bytes.length
    return this.socket.writable ? this.socket.write(bytes) : true
  }

  /** Discards the bytes that were not flushed. */
  discard(): void {
    this.#forget()
  }
}

/** Shared read buffer of all sockets with `onread`: each callback consumes its bytes before it returns. */
export const readBuffer = Buffer.allocUnsafeSlow(65_536)
