import type net from 'node:net'
import type { Clock } from '../io/clock'

export interface HandshakesOptions {
  clock: Clock
  /** From the first packet to the end of the handshake. */
  deadlineMs: number
  /** Begins the handshake on a socket that may already hold bytes. */
  start(socket: net.Socket): void
  oneLess(): void
  /** Up to this many handshakes under way, connections are not delayed and the ClientHello is not inspected. */
  calm?: number
  /** So many are under way at most: what OpenSSL keeps of one takes 60 to 80 KiB. */
  most?: number
}

/** To begin one takes half a millisecond: when many places come free at once, so many of them are taken each tick. */
const begunPerTick = 32

/**
 * Connections within a TLS handshake. Under load a handshake begins only when its whole ClientHello has arrived, so that a stalled client
 * costs a socket and no TLS state. Beyond the bound the newest waiting connection begins first, because stalled ones only grow older. No
 * handshake under way is closed to make room: the client would reconnect, and beginning a handshake is the expensive part.
 */
export class Handshakes {
  readonly #options: Required<HandshakesOptions>
  /** All, the oldest first, with the time they came. */
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

  /** Begins the newest that waits; false: there is none, or no place. */
  #next(): boolean {
    if (this.#underWay.size >= this.#options.most) return false
    for (let greeting = this.#waiting.pop(); greeting !== undefined; greeting = this.#waiting.pop()) {
      if (greeting.socket.destroyed) continue
      this.#begin(greeting)
      return true
    }
    return false
  }

  /** Gone through every tick: ends what took too long. */
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

/** Reads what a client says until its ClientHello is whole. */
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
    // A copy: what was read into is much larger than a few bytes of a hello that does not come.
    this.#held = Buffer.concat([this.#held, chunk])
    if (this.#whole) {
      // Nothing is to be said before our answer, but early data.
      if (this.#held.length > mostHeld) this.socket.destroy()
    } else if (isWholeHello(this.#held)) {
      this.#whole = true
      this.#then(this)
    }
  }

  /** The socket gives again what was read from it. */
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
/** RFC 8446 §5.1, and some room for what older versions add. */
const mostRecord = 16_384 + 256
const mostHeld = 65_536

/** Whether the bytes hold a whole ClientHello; true also for what can never become one, which OpenSSL then refuses. */
export function isWholeHello(bytes: Buffer): boolean {
  if (bytes.length > mostHeld) return true
  let have = 0
  let need = messageHead
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== handshakeRecord) return true
    if (at + recordHead > bytes.length) return false
    const size = bytes.readUInt16BE(at + 3)
    // The length of the message must be in its first record, as everybody sends it.
    if (size > mostRecord || size < (at === 0 ? messageHead : 1)) return true
    const start = at + recordHead
    const here = Math.min(size, bytes.length - start)
    if (at === 0 && here >= messageHead) need += bytes.readUIntBE(start + 1, 3)
    have += here
    at = start + size
  }
  return have >= need && need > messageHead
}
