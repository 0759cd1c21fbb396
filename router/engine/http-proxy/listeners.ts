import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { plainAddress } from '@/shared/node/trusted-proxies'
import type { EngineLimits } from '../../env'
import type { RouterLog } from '../../log'
import type { TlsTerminator } from '../../tls/tls-terminator'
import type { ListenAddress } from '../engine'
import { bind } from '../listen/bind'
import { readProxyHeader } from '../listen/proxy-header'
import { isWebSocketUpgrade } from './request-rules'

/** Client address and port from a PROXY header. */
export interface Behind {
  ip: string
  localPort: number
}

export interface ListenersOptions {
  limits: EngineLimits
  log: RouterLog
  /** Adds the handlers of requests to a server. */
  wire: (server: http.Server) => void
}

const closeDeadlineMs = 1_000

// A TLS socket does not expose its raw socket: match them by their addresses and ports.
const keyOf = (socket: net.Socket) => `${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`

/** The node:http and node:https listeners of an engine and every client connection they accepted. */
export class NodeListeners {
  readonly #options: ListenersOptions
  readonly #servers: http.Server[] = []
  /** Connections that use HTTP, including upgraded ones. */
  readonly #sockets = new Set<net.Socket>()
  /** Connections before HTTP: in a TLS handshake or a PROXY header, keyed by `keyOf`. */
  readonly #early = new Map<string, net.Socket>()
  readonly #behind = new WeakMap<Duplex, Behind>()
  /** Called whenever a connection or request has ended. */
  readonly #ends = new Set<() => void>()

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /** Client address from a PROXY header, if any. */
  behindProxy(socket: Duplex): Behind | undefined {
    return this.#behind.get(socket)
  }

  /** Whether the connection has reached HTTP. */
  speaks(socket: Duplex): boolean {
    return this.#sockets.has(socket as net.Socket)
  }

  /** A request or a connection ended. */
  oneLess(): void {
    for (const again of this.#ends) again()
  }

  async listen(address: ListenAddress): Promise<{ host: string; port: number }> {
    const server = this.#create(address.tls ?? null)
    if (address.proxyProtocol) this.#expectProxyHeader(server)
    const bound = await bind(server, address, this.#options.log)
    this.#servers.push(server)
    return bound
  }

  #create(edge: TlsTerminator | null): http.Server {
    const { limits, wire } = this.#options
    const options = {
      maxHeaderSize: limits.maxHeaderBytes,
      insecureHTTPParser: false,
      headersTimeout: limits.clientHeadTimeoutMs,
      // Bodies have no total deadline: the idle timeout detects silence instead.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(5_000, limits.clientHeadTimeoutMs),
      noDelay: true,
      // Requests without Host get the router's own error page.
      requireHostHeader: false,
      shouldUpgradeCallback: isWebSocketUpgrade,
    }
    const server = edge ? https.createServer({ ...options, ...edge.serverOptions(['http/1.1']) }) : http.createServer(options)
    // Node silently drops lines beyond its limit, even framing fields: disable the limit, and count and refuse them here.
    server.maxHeadersCount = 0
    if (edge && server instanceof https.Server) {
      server.prependListener('connection', (socket: net.Socket) => this.#begin(socket))
      server.prependListener('secureConnection', (socket) => {
        const raw = this.#early.get(keyOf(socket))
        this.#early.delete(keyOf(socket))
        const behind = raw && this.#behind.get(raw)
        if (behind) this.#behind.set(socket, behind)
        this.#track(socket)
      })
      edge.attach(server)
    } else server.prependListener('connection', (socket: net.Socket) => this.#track(socket))
    wire(server)
    return server
  }

  #track(socket: net.Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.oneLess()
    })
  }

  #begin(socket: net.Socket): void {
    const key = keyOf(socket)
    this.#early.set(key, socket)
    socket.once('close', () => {
      if (this.#early.get(key) === socket) this.#early.delete(key)
      this.oneLess()
    })
  }

  // Other listeners receive a connection after its PROXY header was read, with only the bytes after it.
  #expectProxyHeader(server: http.Server): void {
    const waiting = server.listeners('connection') as ((socket: net.Socket) => void)[]
    server.removeAllListeners('connection')
    server.on('connection', (socket: net.Socket) => {
      this.#begin(socket)
      readProxyHeader(socket, this.#options.limits.clientHeadTimeoutMs, (source) => {
        this.#early.delete(keyOf(socket))
        if (source) this.#behind.set(socket, { ip: plainAddress(source.ip), localPort: source.destinationPort })
        for (const take of waiting) take.call(server, socket)
      })
    })
  }

  /** Stops accepting; idle connections stay for `idleGraceMs`. Resolves when no connection is left, or at the deadline. */
  async drain(deadlineMs: number, idleGraceMs: number): Promise<void> {
    // Do not use http's own close: it would also cut idle connections at once, while clients may be sending.
    for (const server of this.#servers) net.Server.prototype.close.call(server)
    const end = Date.now() + deadlineMs
    await this.#noSockets(Math.min(end, Date.now() + idleGraceMs), () => {})
    await this.#noSockets(end, () => this.#closeIdle())
  }

  #closeIdle(): void {
    for (const server of this.#servers) server.closeIdleConnections()
    // Node treats a connection without any bytes as one with an incomplete head.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
    for (const socket of this.#early.values()) socket.destroy()
  }

  /** Waits until no client connection is left, or until `end`; calls `sweep` now and after each ended request. */
  #noSockets(end: number, sweep: () => void): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#ends.delete(again)
        resolve()
      }
      const timer = setTimeout(settle, Math.max(0, end - Date.now()))
      const look = () => {
        sweep()
        if (this.#sockets.size === 0 && this.#early.size === 0) settle()
      }
      // Defer by a turn: the connection of an ended request becomes idle only afterwards.
      const again = () => void setImmediate(look)
      this.#ends.add(again)
      look()
    })
  }

  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const server of this.#servers) server.closeAllConnections()
    for (const socket of this.#early.values()) socket.destroy()
    await Promise.all(closed)
    // Cut connections are counted when their sockets close.
    await this.#noSockets(Date.now() + closeDeadlineMs, () => {})
  }
}
