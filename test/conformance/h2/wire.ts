/** A raw HTTP/2 client: frames out as bytes, frames in as they came, nothing interpreted. */
import net from 'node:net'
import { HpackDecoder } from '@/router/engine/http2/hpack/decoder'
import { encodeField } from '@/router/engine/http2/hpack/encoder'
import { clientPreface, ErrorCode, Flag, FrameType } from '@/router/engine/http2/protocol'

export interface Frame {
  type: number
  flags: number
  streamId: number
  payload: Buffer
}

/** One frame as bytes; `length` lies about the payload where a test wants it to. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0), length = payload.length): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

export const word = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export const settingsPayload = (pairs: [setting: number, value: number][]) =>
  Buffer.concat(
    pairs.map(([setting, value]) => {
      const bytes = Buffer.alloc(6)
      bytes.writeUInt16BE(setting)
      bytes.writeUInt32BE(value, 2)
      return bytes
    }),
  )

export type Fields = [name: string, value: string][]
export const block = (fields: Fields) => Buffer.concat(fields.map(([name, value]) => encodeField(name, value)))

/** The pseudo-headers of a request, as h2spec sends them. */
export const requestFields = (method = 'GET', path = '/'): Fields => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'app.test'],
]

export const headersFrame = (streamId: number, fields: Fields, flags: number = Flag.endHeaders | Flag.endStream) =>
  frame(FrameType.headers, flags, streamId, block(fields))
export const dataFrame = (streamId: number, body: string | Buffer, flags: number = Flag.endStream) =>
  frame(FrameType.data, flags, streamId, Buffer.from(body))

const codeNames = Object.fromEntries(Object.entries(ErrorCode).map(([name, code]) => [code, name]))
export const codeName = (code: number) => codeNames[code] ?? String(code)

/** What ended: a stream or the connection, and with which code; `closed` without a word. */
export type Ending = { kind: 'goaway' | 'rst'; code: number; streamId: number } | { kind: 'closed' } | { kind: 'none' }

export class H2Wire {
  readonly socket: net.Socket
  readonly frames: Frame[] = []
  closed = false
  #bytes = Buffer.alloc(0)
  #seen = 0
  readonly #waiters = new Set<() => void>()
  readonly #decoder = new HpackDecoder({ maxListBytes: 1_000_000, maxFields: 1_000 })

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', () => {})
    const over = () => {
      this.closed = true
      this.#wake()
    }
    socket.on('end', over)
    socket.on('close', over)
  }

  /** `from`: an address of this machine. */
  static async connect(port: number, from = '127.0.0.1'): Promise<H2Wire> {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new H2Wire(socket)
  }

  /** Connects and goes through the opening of the connection, both sides' SETTINGS acknowledged. */
  static async open(port: number, settings: [number, number][] = [], from?: string): Promise<H2Wire> {
    const wire = await H2Wire.connect(port, from)
    wire.write(clientPreface, frame(FrameType.settings, 0, 0, settingsPayload(settings)))
    await wire.next(({ type, flags }) => type === FrameType.settings && (flags & Flag.ack) === 0)
    wire.write(frame(FrameType.settings, Flag.ack, 0))
    await wire.next(({ type, flags }) => type === FrameType.settings && (flags & Flag.ack) !== 0)
    return wire
  }

  #onData(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    while (this.#bytes.length >= 9) {
      const length = this.#bytes.readUIntBE(0, 3)
      if (this.#bytes.length < 9 + length) break
      const streamId = this.#bytes.readUInt32BE(5) & 0x7fffffff
      this.frames.push({
        type: this.#bytes[3] as number,
        flags: this.#bytes[4] as number,
        streamId,
        payload: Buffer.from(this.#bytes.subarray(9, 9 + length)),
      })
      this.#bytes = this.#bytes.subarray(9 + length)
    }
    this.#wake()
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
  }

  write(...parts: Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts))
  }

  /** Waits until `done` says so or `deadlineMs` passed; true when it did. */
  async until(done: () => boolean, deadlineMs = 2_000): Promise<boolean> {
    if (done()) return true
    return new Promise((resolve) => {
      const finish = (result: boolean) => {
        clearTimeout(timer)
        this.#waiters.delete(check)
        resolve(result)
      }
      const check = () => {
        if (done()) finish(true)
      }
      const timer = setTimeout(() => finish(done()), deadlineMs)
      this.#waiters.add(check)
    })
  }

  /** The next frame, after those taken before, that `wanted` accepts; null when the connection ends or nothing comes. */
  async next(wanted: (frame: Frame) => boolean, deadlineMs = 2_000): Promise<Frame | null> {
    let found: Frame | null = null
    await this.until(() => {
      while (found === null && this.#seen < this.frames.length) {
        const candidate = this.frames[this.#seen++] as Frame
        if (wanted(candidate)) found = candidate
      }
      return found !== null || this.closed
    }, deadlineMs)
    return found
  }

  /** How the stream (or the connection) ends. */
  async ending(deadlineMs = 2_000): Promise<Ending> {
    const found = await this.next(({ type }) => type === FrameType.goaway || type === FrameType.rstStream, deadlineMs)
    if (found === null) return this.closed ? { kind: 'closed' } : { kind: 'none' }
    if (found.type === FrameType.goaway) return { kind: 'goaway', code: found.payload.readUInt32BE(4), streamId: 0 }
    return { kind: 'rst', code: found.payload.readUInt32BE(0), streamId: found.streamId }
  }

  fields(found: Frame): Fields {
    const fields: { name: string; value: string }[] = []
    this.#decoder.decode(found.payload, 0, found.payload.length, fields as never)
    return fields.map(({ name, value }) => [name, value])
  }

  /** The answer on a stream: its status, null when the stream is reset or nothing comes. */
  async status(streamId: number, deadlineMs = 2_000): Promise<string | null> {
    const head = await this.next(
      (found) => found.streamId === streamId && (found.type === FrameType.headers || found.type === FrameType.rstStream),
      deadlineMs,
    )
    if (head === null || head.type !== FrameType.headers) return null
    return this.fields(head).find(([name]) => name === ':status')?.[1] ?? null
  }

  /** Whether a PING comes back: the connection is alive. */
  async alive(deadlineMs = 2_000): Promise<boolean> {
    const mark = Buffer.from('are you?')
    this.write(frame(FrameType.ping, 0, 0, mark))
    return (
      (await this.next(({ type, flags, payload }) => type === FrameType.ping && (flags & Flag.ack) !== 0 && payload.equals(mark), deadlineMs)) !==
      null
    )
  }

  close(): void {
    this.socket.destroy()
  }
}
