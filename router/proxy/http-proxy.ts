import { randomUUID } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import httpProxy from 'http-proxy'
import type { Target } from '@/shared/route-table'
import type { EngineLimits } from '../env'
import type { HostTable } from '../match/host-table'
import { encodePage, type Problem, renderProblem } from '../pages/pages'
import { noTargetProblem } from '../targets/least-loaded'
import { InFlight, pickTarget } from './balancer'
import type { DrainOptions, DrainResult, Engine, EngineLog, EngineOptions, ListenAddress } from './engine'
import { Exchange, type ExchangeHost, upstreamProblem } from './exchange'
import { upstreamHeaders } from './headers'
import { checkRequest, isWebSocketUpgrade } from './request-rules'
import { Upgrade } from './upgrade'
import { faultOf, Upstreams } from './upstreams'

/** The reference engine: node:http towards clients, the http-proxy package towards instances. Correct first; the lean one is fast. */
export function createHttpProxyEngine(options: EngineOptions): Engine {
  return new HttpProxyEngine(options)
}

interface ProxyWithPasses {
  webPasses: { name: string }[]
}

class HttpProxyEngine implements Engine, ExchangeHost {
  readonly name = 'http-proxy'
  readonly limits: EngineLimits
  readonly log: EngineLog
  readonly counts = new InFlight()
  readonly upstreams: Upstreams
  table: HostTable
  draining = false
  readonly #server: http.Server
  readonly #proxy = httpProxy.createProxyServer({ toProxy: true, xfwd: false, selfHandleResponse: true })
  readonly #exchanges = new WeakMap<IncomingMessage, Exchange>()
  readonly #upgrades = new WeakMap<IncomingMessage, Upgrade>()
  readonly #bySocket = new WeakMap<Duplex, Set<Exchange>>()
  /** Client connections, upgraded ones too. */
  readonly #sockets = new Set<net.Socket>()
  readonly #openExchanges = new Set<Exchange>()
  readonly #openUpgrades = new Set<Upgrade>()
  #onOneLess: () => void = () => {}

  constructor(options: EngineOptions) {
    this.limits = options.limits
    this.log = options.log
    this.table = options.table
    this.upstreams = new Upstreams(options.limits)
    this.#wireProxy()
    this.#server = this.#createServer()
  }

  #wireProxy(): void {
    const passes = this.#proxy as unknown as ProxyWithPasses
    // This pass drops the framing of a DELETE or OPTIONS with a chunked body and then forwards its bytes: a smuggled request.
    passes.webPasses = passes.webPasses.filter((pass) => pass.name !== 'deleteLength')
    this.#proxy.on('proxyReq', (upstream, req) => this.#exchanges.get(req)?.onUpstream(upstream))
    this.#proxy.on('proxyRes', (answer, req) => this.#exchanges.get(req)?.onAnswer(answer))
    this.#proxy.on('proxyReqWs', (upstream, req) => this.#upgrades.get(req)?.onUpstream(upstream))
    // Each forward has its own callback; without a listener here EventEmitter3 stays silent, but the package would throw.
    this.#proxy.on('error', (error) => this.log.error({ err: error }, 'proxy error outside of a request'))
  }

  #createServer(): http.Server {
    const { limits } = this
    const server = http.createServer({
      maxHeaderSize: limits.maxHeaderBytes,
      insecureHTTPParser: false,
      headersTimeout: limits.clientHeadTimeoutMs,
      // A body may take as long as it flows: `timeout` below watches for silence instead.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(5_000, limits.clientHeadTimeoutMs),
      noDelay: true,
      shouldUpgradeCallback: (req) => isWebSocketUpgrade(req),
    })
    // Node drops the lines beyond its limit silently, framing ones too; ours are counted and refused.
    server.maxHeadersCount = 0
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        this.#onOneLess()
      })
    })
    server.on('request', (req, res) => this.#onRequest(req, res, false))
    server.on('checkContinue', (req, res) => this.#onRequest(req, res, true))
    server.on('checkExpectation', (req, res) => this.#refuse(req, res, 417, 'The only expectation served here is "100-continue".'))
    server.on('upgrade', (req, socket, head) => this.#onUpgrade(req, socket, head))
    server.on('connect', (_req, socket) => this.#rejectRaw(socket, 405, 'CONNECT is not served here.'))
    server.on('clientError', (error, socket) => this.#onClientError(error, socket))
    server.setTimeout(limits.clientIdleTimeoutMs, (socket) => this.#onClientSilence(socket))
    return server
  }

  async listen(address: ListenAddress): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: address.host, port: address.port, reusePort: address.reusePort, backlog: 4096 }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (error) => this.log.error({ err: error }, 'listener error'))
        resolve()
      })
    })
    const bound = this.#server.address()
    if (bound === null || typeof bound === 'string') throw new Error('the listener has no address')
    return { host: bound.address, port: bound.port }
  }

  apply(table: HostTable): void {
    this.table = table
    this.upstreams.keepOnly(table)
  }

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return this.counts.pick(instanceIds)
  }

  forward(exchange: Exchange, target: Target, fresh: boolean): void {
    const { kept, fresh: single } = this.upstreams.of(target)
    const options = { target: { protocol: 'http:', host: target.host, port: target.port }, agent: fresh ? single : kept }
    this.#proxy.web(exchange.req, exchange.res, options, (error) => exchange.onError(error))
  }

  #onRequest(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean) {
    const exchange = this.#open(req, res, expectsContinue)
    const checked = checkRequest(req, this.limits)
    if ('status' in checked) return exchange.fail({ kind: 'bad-request', ...checked })
    if (req.url === '*') return this.#answerOptions(exchange)
    exchange.start(checked)
  }

  #open(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): Exchange {
    const exchange = new Exchange(this, req, res, randomUUID(), expectsContinue)
    const { socket } = req
    const onSocket = this.#bySocket.get(socket) ?? new Set<Exchange>()
    this.#bySocket.set(socket, onSocket.add(exchange))
    this.#exchanges.set(req, exchange)
    this.#openExchanges.add(exchange)
    res.once('close', () => {
      onSocket.delete(exchange)
      this.#openExchanges.delete(exchange)
      this.#onOneLess()
    })
    return exchange
  }

  #refuse(req: IncomingMessage, res: ServerResponse, status: number, detail: string): void {
    this.#open(req, res, false).fail({ kind: 'bad-request', status, detail })
  }

  // `OPTIONS *` asks about this server, not about an app (RFC 9110 §9.3.7).
  #answerOptions({ res, requestId }: Exchange): void {
    const headers = ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS', 'X-Request-Id', requestId]
    if (this.draining) headers.push('Connection', 'close')
    res.writeHead(204, headers).end()
  }

  #onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer) {
    const upgrade = new Upgrade(this.#upgradeHost(), req, socket, randomUUID())
    const checked = checkRequest(req, this.limits)
    if ('status' in checked) return upgrade.fail({ kind: 'bad-request', ...checked })
    const route = this.table.find(checked.authority.host)
    if (!route) return upgrade.fail({ kind: 'unknown-host', host: checked.authority.host })
    const target = pickTarget(route, this.counts)
    if (!target) return upgrade.fail(noTargetProblem(route))
    this.#upgrades.set(req, upgrade)
    this.#openUpgrades.add(upgrade)
    upgrade.begin(route, this.counts.acquire(target.instanceId), () => {
      this.#openUpgrades.delete(upgrade)
      this.#onOneLess()
    })
    req.headers = upstreamHeaders(req, checked, upgrade.requestId, true) as IncomingMessage['headers']
    const options = { target: { protocol: 'http:', host: target.host, port: target.port }, agent: this.upstreams.of(target).fresh }
    this.#proxy.ws(req, socket, head, options, (error) => {
      upgrade.logFault(error)
      upgrade.fail(upstreamProblem(faultOf(error), route, this.limits))
    })
  }

  #upgradeHost() {
    return { log: this.log, table: this.table, upstreamTimeoutMs: this.limits.upstreamTimeoutMs, lingerMs: this.limits.lingerMs }
  }

  // Bytes the parser refused. When an answer is under way on this connection, anything written now would land inside it.
  #onClientError(error: NodeJS.ErrnoException, socket: Duplex) {
    const busy = (this.#bySocket.get(socket)?.size ?? 0) > 0
    if (busy || !socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
    if (error.code === 'HPE_HEADER_OVERFLOW')
      return this.#rejectRaw(socket, 431, `The request head is larger than ${this.limits.maxHeaderBytes} bytes.`)
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return this.#rejectRaw(socket, 408, 'The request head did not arrive in time.')
    this.#rejectRaw(socket, 400, 'The request is not valid HTTP/1.1.')
  }

  #rejectRaw(socket: Duplex, status: number, detail: string): void {
    socket.on('error', () => {})
    const problem: Problem = { kind: 'bad-request', status, detail }
    const page = renderProblem(problem, { requestId: randomUUID(), accept: undefined, dashboardUrl: '' })
    socket.end(encodePage(page), () => socket.destroy())
  }

  // Silence on a client connection: an idle one is closed, one that owes a body or reads nothing is given up, one that waits for a slow
  // instance is none of our business here.
  #onClientSilence(socket: net.Socket) {
    const open = this.#bySocket.get(socket)
    if (!open || open.size === 0) return void socket.destroy()
    if (socket.writableLength > 0) return void socket.destroy()
    for (const exchange of open) if (!exchange.req.complete) exchange.onClientSilence()
  }

  async drain({ deadlineMs, idleGraceMs }: DrainOptions): Promise<DrainResult> {
    this.draining = true
    // Not http's own close: it would also cut idle connections at once, under the feet of clients about to send.
    net.Server.prototype.close.call(this.#server)
    const end = Date.now() + deadlineMs
    await this.#noSockets(Math.min(end, Date.now() + idleGraceMs), () => {})
    await this.#noSockets(end, () => this.#closeIdle())
    const cut = this.#openExchanges.size + this.#openUpgrades.size
    await this.close()
    return { cut }
  }

  #closeIdle(): void {
    this.#server.closeIdleConnections()
    // To node a connection that never sent a byte is one that owes a head.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  /** Waits until no client connection is left, or until `end`; `sweep` is called now and after each request that ended. */
  #noSockets(end: number, sweep: () => void): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#onOneLess = () => {}
        resolve()
      }
      const timer = setTimeout(settle, Math.max(0, end - Date.now()))
      const look = () => {
        sweep()
        if (this.#sockets.size === 0) settle()
      }
      // After this turn: the connection of a request that just ended is idle only then.
      this.#onOneLess = () => setImmediate(look)
      look()
    })
  }

  async close(): Promise<void> {
    this.draining = true
    for (const upgrade of this.#openUpgrades) upgrade.destroy()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    this.upstreams.close()
    this.#proxy.close()
    await closed
  }
}
