import type { Duplex } from 'node:stream'

const slabBytes = 65_536
/** Up to here a loop is faster than a call of Buffer's copy. */
const byHand = 48

const nothing = Buffer.alloc(0)
const hexDigits = Buffer.from('0123456789abcdef')

/** Messages up to here are written through views that are kept: to make one costs as much as to parse a small head. */
const longestKeptView = 4_096

/** The memory that outgoing messages are put together in, by one outbox at a time. What a socket still holds is not written again. */
const slab: { bytes: Buffer; at: number; writer: Outbox | null; views: (Buffer | undefined)[] } = {
  bytes: Buffer.allocUnsafeSlow(slabBytes),
  at: 0,
  writer: null,
  views: [],
}

/** The slab from its beginning on. */
function firstBytes(size: number): Buffer {
  const known = slab.views[size]
  if (known !== undefined) return known
  const view = slab.bytes.subarray(0, size)
  // Not by index alone: a list with one far entry would become a dictionary.
  while (slab.views.length <= size) slab.views.push(undefined)
  slab.views[size] = view
  return view
}

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
  /** Up to where this outbox may write on; `#to` itself once another one took over. */
  #limit = 0
  /** A view of what is gathered was given away. */
  #viewed = false
  /** Memory of its own, for the first bytes after `restart`. */
  #own: Buffer | null = null
  #ownView: Buffer = nothing
  #ownFree = false

  constructor(socket: Duplex) {
    this.socket = socket
  }

  /**
   * A message begins, and of the ones before nothing is needed any more: up to `size` bytes of it are put together in memory that belongs
   * to this outbox, so that they stay as they are until the next one begins.
   */
  restart(size: number): void {
    this.#ownFree = this.socket.writableLength === 0
    if (this.#ownFree) this.#own ??= Buffer.allocUnsafeSlow(size)
  }

  /** Whether there is something that was not flushed. */
  get gathered(): number {
    return this.#to - this.#from
  }

  /** Makes room for `size` bytes; what cannot be continued in place is sent first. */
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

  /** Keeps the next `size` bytes in one piece, so that they can be read back as a whole. */
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

  /** Latin-1 text. */
  text(text: string): void {
    if (this.#to + text.length > this.#limit) this.#room(text.length)
    this.#bytes.write(text, this.#to, 'latin1')
    this.#to += text.length
  }

  /** The line before a chunk of `size` bytes. */
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

  /** Takes out what is gathered, as a view that stays as it is; the caller writes it. */
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

  /** What is gathered and not yet flushed; stays as it is. */
  view(): Buffer {
    this.#viewed = true
    return this.#view()
  }

  /** Gives what is gathered to the socket. False: the other side is slow, wait for `drain` before giving more. */
  flush(): boolean {
    const { socket } = this
    if (this.#to === this.#from) return socket.writableLength < socket.writableHighWaterMark
    const from = this.#from
    const again = !this.#viewed && slab.writer === this
    const view = this.seal()
    this.sent += view.length
    if (!socket.writable) return true
    const ready = socket.write(view)
    // The kernel has taken all of it: this piece of the slab is free.
    if (again && socket.writableLength === 0 && slab.writer === null && slab.at === from + view.length) slab.at = from
    return ready
  }

  /** Writes bytes without copying them. They must not change afterwards. */
  write(bytes: Buffer): boolean {
    if (this.#to > this.#from) this.flush()
    this.sent += bytes.length
    return this.socket.writable ? this.socket.write(bytes) : true
  }

  /** Forgets what was not flushed. */
  discard(): void {
    this.#forget()
  }
}

/** Where sockets with `onread` put what they read: one for all, since each callback takes what it wants before it returns. */
export const readBuffer = Buffer.allocUnsafeSlow(65_536)
