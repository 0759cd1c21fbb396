/** A raw WebSocket client (RFC 6455): frames out as bytes, whatever they are; what comes back written down. */
import { createHash } from 'node:crypto'
import net from 'node:net'

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

export interface FrameOptions {
  fin?: boolean
  /** The three reserved bits, as a number. */
  rsv?: number
}

/** One masked frame. */
export function wsFrame(opcode: number, payload: Buffer | string = '', { fin = true, rsv = 0 }: FrameOptions = {}): Buffer {
  const bytes = Buffer.from(payload)
  const short = bytes.length < 126 ? bytes.length : bytes.length < 65_536 ? 126 : 127
  const head = Buffer.alloc(2 + (short === 126 ? 2 : short === 127 ? 8 : 0))
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = 0x80 | short
  if (short === 126) head.writeUInt16BE(bytes.length, 2)
  else if (short === 127) head.writeBigUInt64BE(BigInt(bytes.length), 2)
  const masked = Buffer.from(bytes)
  for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] as number) ^ (mask[i & 3] as number)
  return Buffer.concat([head, mask, masked])
}

export const closeFrame = (code?: number, reason: Buffer | string = '') => {
  if (code === undefined) return wsFrame(Opcode.close)
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(code)
  return wsFrame(Opcode.close, Buffer.concat([bytes, Buffer.from(reason)]))
}

const handshake = [
  'GET /echo HTTP/1.1',
  'Host: app.test',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '',
  '',
].join('\r\n')

const names: Record<number, string> = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' }

export class WsWire {
  readonly socket: net.Socket
  /** A line for each frame, in order. */
  readonly transcript: string[] = []
  closed = false
  #bytes: Buffer[] = []
  #have = 0
  #upgraded = false
  #wake: () => void = () => {}
  closeReceived = false

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#bytes.push(chunk)
      this.#have += chunk.length
      this.#read()
      this.#wake()
    })
    const over = () => {
      this.closed = true
      this.#wake()
    }
    socket.on('end', over)
    socket.on('close', over)
    socket.on('error', () => {})
  }

  /** Connects and shakes hands. */
  static async open(port: number): Promise<WsWire> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    const wire = new WsWire(socket)
    socket.write(handshake)
    if (!(await wire.until(() => wire.#upgraded || wire.closed)) || !wire.#upgraded) throw new Error('no WebSocket')
    return wire
  }

  async until(done: () => boolean, deadlineMs = 10_000): Promise<boolean> {
    const end = Date.now() + deadlineMs
    while (!done()) {
      const left = end - Date.now()
      if (left <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return true
  }

  #read(): void {
    let bytes = this.#bytes.length === 1 ? (this.#bytes[0] as Buffer) : null
    // Joined only when what is there may be a whole frame: a large one comes in many pieces.
    if (bytes === null && this.#upgraded) {
      const head = Buffer.concat(this.#bytes.slice(0, 3))
      const needed = frameLength(head)
      if (needed > this.#have) return
    }
    bytes ??= Buffer.concat(this.#bytes)
    let at = 0
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end === -1) return
      this.#upgraded = bytes.toString('latin1', 0, 12) === 'HTTP/1.1 101'
      at = end + 4
    }
    for (;;) {
      const length = frameLength(bytes.subarray(at))
      if (length > bytes.length - at) break
      this.#note(bytes.subarray(at, at + length))
      at += length
    }
    this.#bytes = at < bytes.length ? [bytes.subarray(at)] : []
    this.#have = bytes.length - at
  }

  #note(frame: Buffer): void {
    const first = frame[0] as number
    const short = (frame[1] as number) & 0x7f
    const payload = frame.subarray(2 + (short === 126 ? 2 : short === 127 ? 8 : 0))
    const opcode = first & 15
    const what = `${names[opcode] ?? opcode}${first & 0x80 ? '' : ' unfinished'}${first & 0x70 ? ' reserved' : ''}`
    if (opcode === Opcode.close) {
      this.closeReceived = true
      this.transcript.push(`${what} ${payload.length >= 2 ? payload.readUInt16BE(0) : 'without code'} ${payload.subarray(2).toString()}`)
    } else this.transcript.push(`${what} ${payload.length} ${createHash('sha1').update(payload).digest('hex')}`)
  }

  close(): void {
    this.socket.destroy()
  }
}

/** Bytes of the frame that begins here, as far as can be seen; Infinity while its head is not whole. */
function frameLength(bytes: Buffer): number {
  if (bytes.length < 2) return Number.POSITIVE_INFINITY
  const short = (bytes[1] as number) & 0x7f
  if (short < 126) return 2 + short
  if (short === 126) return bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readUInt16BE(2)
  return bytes.length < 10 ? Number.POSITIVE_INFINITY : 10 + Number(bytes.readBigUInt64BE(2))
}
