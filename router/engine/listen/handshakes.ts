import type net from 'node:net'
import type { Clock } from '../io/clock'

export interface HandshakesOptions {
  clock: Clock
  /** Time from the first packet to the end of the handshake. */
  deadlineMs: number
  /** Begins the handshake on a socket that may already hold bytes. */
  start(socket: net.Socket): void
  oneLess(): void
  /** Up to this many concurrent handshakes, connections are not delayed and the ClientHello is not inspected. */
  calm?: number
  /** Maximum concurrent handshakes: OpenSSL keeps 60 to 80 KiB for each. */
  most?: number
}

/** Maximum handshakes started per tick: starting one takes half a millisecond. */
const begunPerTick = 32

/**
 * Connections within a TLS handshake. Under load a handshake begins only when its whole ClientHello has arrived, so that a stalled client
 * costs a socket and no TLS state. Beyond the bound the newest waiting connection begins first, because stalled ones only grow older. No
 * handshake under way is closed to make room: the client would reconnect, and beginning a handshake is the expensive part.
 */
export class Handshakes {
  readonly #options: Required<HandshakesOptions>
  /** All tracked connections with their arrival time, oldest first. */
  readonly #all = new Map<net.Socket, number>()
  readonly #underWay = new Set<net.Socket>()
  #waiting: Greeting[] = []

  constructor(options: HandshakesOptions) {
    this.#options = { calm: 256, most: 4_096, ...options }
  }

  get size(): number {
    return this.#all.size
  }

  enter(socket: net.Socket): void {
    socket.on('error', () => {})
    socket.once('close', () => this.#gone(socket))
    this.#all.set(socket, this.#options.clock.now)
    if (this.#underWay.size < this.#options.calm) this.#start(socket)
    else new Greeting(socket, (greeting) => this.#greeted(greeting))
  }

  #greeted(greeting: Greeting): void {
    if (this.#underWay.size < this.#options.most) this.#begin(greeting)
    else this.#waiting.push(greeting)
  }

  #begin(greeting: Greeting): void {
    greeting.giveBack()
    this.#start(greeting.socket)
  }

  #start(socket: net.Socket): void {
    this.#underWay.add(socket)
    this.#options.start(socket)
  }

  /** The handshake is done: the connection is no longer tracked here. */
  done(socket: net.Socket): void {
    this.#all.delete(socket)
    if (this.#underWay.delete(socket)) this.#next()
  }

  #gone(socket: net.Socket): void {
    this.#underWay.delete(socket)
    if (this.#all.delete(socket)) this.#options.oneLess()
  }

  /** Starts the newest waiting handshake; false: none is waiting, or the maximum is reached. */
  #next(): boolean {
    if (this.#underWay.size >= this.#options.most) return false
    for (let greeting = this.#waiting.pop(); greeting !== undefined; greeting = this.#waiting.pop()) {
      if (greeting.socket.destroyed) continue
      this.#begin(greeting)
      return true
    }
    return false
  }

  /** Run every tick: closes connections whose handshake takes too long. */
  *watch(): IterableIterator<void> {
    const { clock, deadlineMs } = this.#options
    for (const [socket, since] of this.#all) {
      if (!clock.passed(since, deadlineMs)) break
      socket.destroy()
      yield
    }
    if (this.#waiting.length === 0) return
    this.#waiting = this.#waiting.filter(({ socket }) => !socket.destroyed)
    for (let begun = 0; begun < begunPerTick && this.#next(); begun++) yield
  }

  close(): void {
    this.#waiting = []
    for (const socket of this.#all.keys()) socket.destroy()
  }
}

/** Reads from a client until its ClientHello is complete. */
class Greeting {
  readonly socket: net.Socket
  #held: Buffer = Buffer.alloc(0)
  #whole = false
  readonly #then: (greeting: Greeting) => void

  constructor(socket: net.Socket, then: (greeting: Greeting) => void) {
    this.socket = socket
    this.#then = then
    socket.on('readable', this.#look)
    socket.once('end', this.#leave)
    socket.resume()
    socket.pause()
  }

  readonly #leave = () => void this.socket.destroy()

  readonly #look = () => {
    const chunk: Buffer | null = this.socket.read()
    if (chunk === null) return
    // Copy: the read buffer is much larger than a few bytes of an incomplete ClientHello.
    this.#held = Buffer.concat([this.#held, chunk])
    if (this.#whole) {
      // After the ClientHello only early data is allowed before our answer.
      if (this.#held.length > maxHeld) this.socket.destroy()
    } else if (isWholeHello(this.#held)) {
      this.#whole = true
      this.#then(this)
    }
  }

  /** Puts the bytes that were read back into the socket. */
  giveBack(): void {
    this.socket.off('readable', this.#look)
    this.socket.off('end', this.#leave)
    this.socket.unshift(this.#held)
    this.#held = Buffer.alloc(0)
  }
}

const handshakeRecord = 22
const recordHead = 5
const messageHead = 4
/** Maximum record length (RFC 8446 §5.1), with room for older versions. */
const maxRecord = 16_384 + 256
const maxHeld = 65_536

/** Whether the bytes contain a complete ClientHello; also true for invalid bytes, which OpenSSL then refuses. */
export function isWholeHello(bytes: Buffer): boolean {
  if (bytes.length > maxHeld) return true
  let have = 0
  let need = messageHead
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== handshakeRecord) return true
    if (at + recordHead > bytes.length) return false
    const size = bytes.readUInt16BE(at + 3)
    // The message length must be in the first record, as all clients send it.
    if (size > maxRecord || size < (at === 0 ? messageHead : 1)) return true
    const start = at + recordHead
    const here = Math.min(size, bytes.length - start)
    if (at === 0 && here >= messageHead) need += bytes.readUIntBE(start + 1, 3)
    have += here
    at = start + size
  }
  return have >= need && need > messageHead
}
