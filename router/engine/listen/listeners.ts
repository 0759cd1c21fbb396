import net from 'node:net'
import tls from 'node:tls'
import { plainAddress } from '@/shared/node/trusted-proxies'
import type { RouterLog } from '../../log'
import type { TlsTerminator } from '../../tls/tls-terminator'
import type { ListenAddress } from '../engine'
import type { ClientAddress } from '../headers/visitor'
import type { Clock } from '../io/clock'
import { rawOf } from '../io/cut'
import { type Reader, readSecure, rewrapWorks, startReading } from './accept'
import { bind } from './bind'
import { Handshakes } from './handshakes'
import type { Offenders } from './offenders'
import { readProxyHeader } from './proxy-header'

/** A connection that is ready to speak HTTP. */
export interface ArrivedSocket {
  socket: net.Socket
  /** The ALPN protocol; false: none negotiated, so HTTP/1.1. */
  protocol: string | false
}

export interface ListenersOptions {
  log: RouterLog
  clock: Clock
  offenders: Offenders
  /** Timeout for a PROXY header or a TLS handshake. */
  headTimeoutMs: number
  /** Takes a connection over. Returns the reader of its bytes; null: the callee reads the socket itself. */
  take(arrived: ArrivedSocket, address: ClientAddress): Reader | null
  oneLess(): void
}

/** Client address and port from a PROXY header. */
interface Behind {
  ip: string
  localPort: number
}

type Enter = (socket: net.Socket, behind: Behind | null) => void

/** The listening sockets of an engine, and connections before HTTP: PROXY headers, TLS handshakes, delayed connections. */
export class Listeners {
  readonly #options: ListenersOptions
  readonly #servers = new Set<net.Server>()
  readonly #early = new Set<net.Socket>()
  readonly #handshakes = new Set<Handshakes>()
  #useRewrap = false

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /** Number of connections that have not reached HTTP yet. */
  get early(): number {
    let early = this.#early.size
    for (const handshakes of this.#handshakes) early += handshakes.size
    return early
  }

  /** Run every tick: closes connections whose handshake takes too long. */
  *watch(): IterableIterator<void> {
    for (const handshakes of this.#handshakes) yield* handshakes.watch()
  }

  /** @throws the system's Error when the address cannot be bound. */
  async listen(address: ListenAddress): Promise<{ host: string; port: number }> {
    this.#useRewrap = await rewrapWorks()
    const server = net.createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true })
    const begin: Enter = address.tls ? this.#secure(address.tls) : (socket, behind) => this.#plain(socket, behind)
    const enter: Enter = (socket, behind) => {
      if (this.#options.offenders.none) begin(socket, behind)
      else this.#heldBack(socket, behind, begin)
    }
    server.on('connection', (socket) => {
      if (address.proxyProtocol) this.#behindProxy(socket, enter)
      else enter(socket, null)
    })
    const bound = await bind(server, address, this.#options.log)
    this.#servers.add(server)
    return bound
  }

  #plain(accepted: net.Socket, behind: Behind | null): void {
    const address = addressOf(accepted, behind, false)
    // The client disconnected before its address was read.
    if (address === null) return void accepted.destroy()
    // A socket from which a PROXY header was read has buffered bytes, so it cannot be re-wrapped.
    startReading(accepted, this.#useRewrap && behind === null, (socket) => this.#options.take({ socket, protocol: false }, address) ?? ignore)
  }

  #secure(edge: TlsTerminator): Enter {
    const behindOf = new WeakMap<net.Socket, Behind>()
    const { clock, headTimeoutMs, oneLess } = this.#options
    const server = tls.createServer({ ...edge.serverOptions(['h2', 'http/1.1']), handshakeTimeout: headTimeoutMs })
    edge.attach(server)
    const start = (socket: net.Socket) => {
      // The TLS socket takes over: a client that half-closes during its handshake counts as disconnected.
      socket.allowHalfOpen = false
      server.emit('connection', socket)
    }
    const handshakes = new Handshakes({ clock, deadlineMs: headTimeoutMs, start, oneLess })
    this.#handshakes.add(handshakes)
    server.on('secureConnection', (socket) => {
      const raw = rawOf(socket)
      const address = addressOf(socket, raw === null ? null : (behindOf.get(raw) ?? null), true)
      if (raw !== null) handshakes.done(raw)
      socket.allowHalfOpen = true
      if (address === null) return void socket.destroy()
      const read = this.#options.take({ socket, protocol: socket.alpnProtocol ?? false }, address)
      if (read !== null) readSecure(socket, this.#useRewrap, read)
    })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return (socket, behind) => {
      if (behind !== null) behindOf.set(socket, behind)
      handshakes.enter(socket)
    }
  }

  /** Delays connections from addresses that flooded recently. */
  #heldBack(socket: net.Socket, behind: Behind | null, begin: Enter): void {
    const ip = behind?.ip ?? plainAddress(socket.remoteAddress ?? '')
    const wait = this.#options.offenders.holdBack(ip, Date.now())
    if (wait === 0) begin(socket, behind)
    else {
      this.#begin(socket)
      setTimeout(() => {
        if (this.#early.delete(socket)) begin(socket, behind)
      }, wait).unref()
    }
  }

  #behindProxy(socket: net.Socket, enter: Enter): void {
    this.#begin(socket)
    socket.resume()
    socket.pause()
    readProxyHeader(socket, this.#options.headTimeoutMs, (source) => {
      this.#early.delete(socket)
      const own = addressOf(socket, null, false)
      if (own === null) return void socket.destroy()
      enter(socket, source === null ? own : { ip: plainAddress(source.ip), localPort: source.destinationPort })
    })
  }

  #begin(socket: net.Socket): void {
    this.#early.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => {
      if (this.#early.delete(socket)) this.#options.oneLess()
    })
  }

  /** Stops accepting connections. */
  stop(): void {
    for (const server of this.#servers) server.close()
    this.#servers.clear()
  }

  /** Closes all connections that have not reached HTTP. */
  closeEarly(): void {
    for (const socket of this.#early) socket.destroy()
    for (const handshakes of this.#handshakes) handshakes.close()
  }
}

const ignore = () => {}

function addressOf(socket: net.Socket, behind: Behind | null, secure: boolean): ClientAddress | null {
  if (behind !== null) return { ...behind, secure }
  const { remoteAddress, localPort } = socket
  return remoteAddress === undefined ? null : { ip: plainAddress(remoteAddress), localPort: localPort ?? 0, secure }
}
