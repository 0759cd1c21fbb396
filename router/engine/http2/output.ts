import type { Socket } from 'node:net'
import { Flag, FrameType, frameHeaderBytes, maxFrameBytes } from './protocol'

const slabBytes = 65_536
/** Stop passing DATA to the socket while more bytes than this wait to be sent. */
const highWater = 262_144

// Slabs of idle sessions are pooled: an idle session owns no slab.
const spare: Buffer[] = []
const maxSpare = 64

// Sessions that wrote during this turn of the event loop; each is flushed with a single write.
let dirty: Output[] = []
let scheduled = false
function flushAll(): void {
  scheduled = false
  const outputs = dirty
  dirty = []
  for (const output of outputs) output.flush()
}

/** The sending half of a connection: frames are written into a slab, which is flushed to the socket once per turn. */
export class Output {
  readonly #socket: Socket
  #slab: Buffer | null = null
  #at = 0
  #flushed = 0
  #queued = false
  #writing = 0
  #closed = false
  /** Number of completed socket writes: it grows while the client reads. */
  #writesDone = 0
  #writesSeen = 0
  #stuckSince = Date.now()
  readonly #written = () => this.#onWritten()

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** The client reads more slowly than we write: DATA must wait for the socket's `drain` event. */
  get jammed(): boolean {
    return this.#socket.writableLength > highWater
  }

  /** Bytes that the client has not received yet. */
  get backlog(): number {
    return this.#socket.writableLength + this.#at - this.#flushed
  }

  /** Milliseconds for which the client has read nothing of the backlog, measured between calls of this method. */
  stuckFor(now: number): number {
    if (this.backlog === 0 || this.#writesDone !== this.#writesSeen) {
      this.#writesSeen = this.#writesDone
      this.#stuckSince = now
    }
    return now - this.#stuckSince
  }

  settings(pairs: readonly (readonly [setting: number, value: number])[]): void {
    let at = this.#frame(pairs.length * 6, FrameType.settings, 0, 0)
    const slab = this.#slab as Buffer
    for (const [setting, value] of pairs) {
      at = slab.writeUInt16BE(setting, at)
      at = slab.writeUInt32BE(value, at)
    }
    this.#at = at
  }

  settingsAck(): void {
    this.#frame(0, FrameType.settings, Flag.ack, 0)
  }

  /** Answers a PING with its own eight bytes. */
  pingAck(bytes: Uint8Array, start: number): void {
    const at = this.#frame(8, FrameType.ping, Flag.ack, 0)
    ;(this.#slab as Buffer).set(bytes.subarray(start, start + 8), at)
    this.#at = at + 8
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#word(FrameType.windowUpdate, streamId, increment)
  }

  rstStream(streamId: number, code: number): void {
    this.#word(FrameType.rstStream, streamId, code)
  }

  goaway(lastStreamId: number, code: number): void {
    const at = this.#frame(8, FrameType.goaway, 0, 0)
    const slab = this.#slab as Buffer
    this.#at = slab.writeUInt32BE(code, slab.writeUInt32BE(lastStreamId, at))
  }

  /** Writes a header block of encoded fields, split into CONTINUATION frames if necessary. Returns the number of bytes. */
  headers(streamId: number, fields: readonly Buffer[], endStream: boolean): number {
    let length = 0
    for (let i = 0; i < fields.length; i++) length += (fields[i] as Buffer).length
    if (length > maxFrameBytes) {
      this.#longHeaders(streamId, Buffer.concat(fields), endStream)
      return length + frameHeaderBytes * Math.ceil(length / maxFrameBytes)
    }
    let at = this.#frame(length, FrameType.headers, endStream ? Flag.endHeaders | Flag.endStream : Flag.endHeaders, streamId)
    const slab = this.#slab as Buffer
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Buffer
      // Most fields are a few bytes long: a loop is cheaper than a call into native code.
      if (field.length < 24) for (let k = 0; k < field.length; k++) slab[at + k] = field[k] as number
      else slab.set(field, at)
      at += field.length
    }
    this.#at = at
    return length + frameHeaderBytes
  }

  #longHeaders(streamId: number, block: Buffer, endStream: boolean): void {
    for (let from = 0; from < block.length; from += maxFrameBytes) {
      const to = Math.min(block.length, from + maxFrameBytes)
      const flags = (to === block.length ? Flag.endHeaders : 0) | (from === 0 && endStream ? Flag.endStream : 0)
      const at = this.#frame(to - from, from === 0 ? FrameType.headers : FrameType.continuation, flags, streamId)
      ;(this.#slab as Buffer).set(block.subarray(from, to), at)
      this.#at = at + to - from
    }
  }

  /** One DATA frame: bytes `start` to `end`, at most `maxFrameBytes`. They are copied. */
  data(streamId: number, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    const at = this.#frame(end - start, FrameType.data, endStream ? Flag.endStream : 0, streamId)
    if (end > start) bytes.copy(this.#slab as Buffer, at, start, end)
    this.#at = at + end - start
  }

  #word(type: number, streamId: number, word: number): void {
    const at = this.#frame(4, type, 0, streamId)
    this.#at = (this.#slab as Buffer).writeUInt32BE(word, at)
  }

  /** Writes a frame header and returns the position of its payload; there is room for the payload. */
  #frame(length: number, type: number, flags: number, streamId: number): number {
    const slab = this.#room(length + frameHeaderBytes)
    let at = this.#at
    slab[at++] = length >>> 16
    slab[at++] = (length >>> 8) & 0xff
    slab[at++] = length & 0xff
    slab[at++] = type
    slab[at++] = flags
    slab[at++] = streamId >>> 24
    slab[at++] = (streamId >>> 16) & 0xff
    slab[at++] = (streamId >>> 8) & 0xff
    slab[at++] = streamId & 0xff
    this.#at = at
    if (!this.#queued) {
      this.#queued = true
      dirty.push(this)
      if (!scheduled) {
        scheduled = true
        setImmediate(flushAll)
      }
    }
    return at
  }

  #room(bytes: number): Buffer {
    if (this.#slab !== null && this.#at + bytes <= slabBytes) return this.#slab
    this.#send()
    // The socket may still read from the old slab: continue in another one.
    this.#slab = spare.pop() ?? Buffer.allocUnsafeSlow(slabBytes)
    this.#at = 0
    this.#flushed = 0
    return this.#slab
  }

  /** Passes all bytes written so far to the socket. */
  flush(): void {
    this.#queued = false
    this.#send()
  }

  #send(): void {
    if (this.#slab === null || this.#at === this.#flushed) return
    if (!this.#closed && this.#socket.writable) {
      this.#writing++
      this.#socket.write(this.#slab.subarray(this.#flushed, this.#at), this.#written)
    }
    this.#flushed = this.#at
  }

  // Reuse a slab only when the socket holds no view of it: views are sent in order, so the last completed write frees the slab.
  #onWritten(): void {
    this.#writesDone++
    if (--this.#writing > 0 || this.#slab === null || this.#flushed !== this.#at) return
    if (spare.length < maxSpare && !this.#closed) spare.push(this.#slab)
    this.#slab = null
  }

  /** Sends GOAWAY and ends our side of the connection; later writes are dropped. */
  endWith(lastStreamId: number, code: number): void {
    this.goaway(lastStreamId, code)
    this.flush()
    this.close()
    this.#socket.end()
  }

  /** Drops all later output. */
  close(): void {
    this.#closed = true
  }
}
