import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http from 'node:http'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import httpProxy from 'http-proxy'
import type { TrustedProxies } from '@/shared/node/trusted-proxies'
import type { EngineLimits } from '../../env'
import type { Gate } from '../../gate/gate'
import type { RouterLog } from '../../log'
import type { HostTable } from '../../match/host-table'
import { type Observer, portOf } from '../../observe/observer'
import { encodePage, type Problem, renderProblem } from '../../pages/pages'
import type { Targets } from '../../targets/targets'
import type { DrainOptions, DrainResult, Engine, EngineOptions, ListenAddress } from '../engine'
import { directVisitor, type Visitor, visitorBehind } from '../headers/visitor'
import { Tunnels } from '../tunnels'
import { AccessRecord } from './access-record'
import { type Destination, Upstreams } from './agents'
import { Exchange } from './exchange'
import { joinedHeader, NodeFacts } from './facts'
import { clientAddress } from './headers'
import type { ExchangeHost, UpstreamCall } from './host'
import { NodeListeners } from './listeners'
import { checkRequest, notExpected } from './request-rules'
import { Upgrade, type UpgradeHost } from './upgrade'

/**
 * The reference engine: node:http for clients, the http-proxy package for instances. Optimized for correctness; the lean engine is
 * optimized for speed.
 */
export function createHttpProxyEngine(options: EngineOptions): Engine {
  return new HttpProxyEngine(options)
}

interface ParserError extends NodeJS.ErrnoException {
  /** The bytes of the last read. */
  rawPacket?: Buffer
}

const unreadable = 'The request is not valid HTTP/1.1.'
const requestLine = /^(?:\r\n)*([!#$%&'*+.^_`|~0-9A-Za-z-]+) [!-~]+ HTTP\/1\.[01]\r\n/
const endlessTarget = /^[A-Z]+ [^\s]+$/

/** Status and detail for a head that Node's parser rejected. */
function refusalOf({ code, rawPacket }: ParserError, { maxHeaderBytes }: EngineLimits): { status: number; detail: string } {
  const text = rawPacket?.toString('latin1') ?? ''
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { status: 408, detail: 'The request head did not arrive in time.' }
  const method = requestLine.exec(text)?.[1]
  if (code === 'HPE_INVALID_METHOD' && method !== undefined && !http.METHODS.includes(method))
    return { status: 501, detail: 'This is not a method of HTTP.' }
  if (code !== 'HPE_HEADER_OVERFLOW') return { status: 400, detail: unreadable }
  // The part that is too long can be determined only if the head arrived in one piece.
  if (endlessTarget.test(text.slice(0, maxHeaderBytes))) return { status: 414, detail: `The request target is longer than ${maxHeaderBytes} bytes.` }
  return { status: 431, detail: `The request head is larger than ${maxHeaderBytes} bytes.` }
}

interface ProxyWithPasses {
  webPasses: { name: string }[]
}

class HttpProxyEngine implements Engine, ExchangeHost, UpgradeHost {
  readonly name = 'http-proxy'
  readonly limits: EngineLimits
  readonly log: RouterLog
  readonly gate: Gate
  readonly targets: Targets
  readonly observer: Observer
  readonly upstreams: Upstreams
  table: HostTable
  draining = false
  readonly #trusts: TrustedProxies | null
  readonly #listeners: NodeListeners
  readonly #proxy = httpProxy.createProxyServer({ toProxy: true, xfwd: false, selfHandleResponse: true })
  readonly #exchanges = new WeakMap<IncomingMessage, Exchange>()
  readonly #upgrades = new WeakMap<IncomingMessage, Upgrade>()
  readonly #bySocket = new WeakMap<Duplex, Set<Exchange>>()
  readonly #openExchanges = new Set<Exchange>()
  readonly #openUpgrades = new Set<Upgrade>()
  readonly #tunnels = new Tunnels()
  /** The last request of each connection. */
  readonly #lastRequest = new WeakMap<Duplex, IncomingMessage>()
  /** Connections with a refused request: further bytes are ignored. */
  readonly #refused = new WeakSet<Duplex>()

  constructor(options: EngineOptions) {
    this.limits = options.limits
    this.log = options.log
    this.gate = options.gate
    this.targets = options.targets
    this.observer = options.observer
    this.table = options.table
    this.#trusts = options.trusts ?? null
    this.upstreams = new Upstreams(options.limits)
    this.#listeners = new NodeListeners({ limits: options.limits, log: options.log, wire: (server) => this.#wire(server) })
    this.#wireProxy()
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

  #wire(server: http.Server): void {
    server.on('request', (req, res) => this.#onRequest(req, res, false))
    server.on('checkContinue', (req, res) => this.#onRequest(req, res, true))
    server.on('checkExpectation', (req, res) => this.#refuse(req, res, 417, notExpected))
    server.on('upgrade', (req, socket, head) => this.#onUpgrade(req, socket, head))
    server.on('connect', (req, socket) => this.#rejectRaw(socket, 405, 'CONNECT is not served here.', req))
    server.on('clientError', (error, socket) => this.#onClientError(error, socket))
    server.setTimeout(this.limits.clientIdleTimeoutMs, (socket) => this.#onClientSilence(socket))
  }

  listen(address: ListenAddress): Promise<{ host: string; port: number }> {
    return this.#listeners.listen(address)
  }

  apply(table: HostTable): void {
    this.table = table
    this.upstreams.keepOnly(table)
  }

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return this.targets.inFlight(instanceIds)
  }

  endTunnels(instanceIds: readonly string[]): Promise<number> {
    return this.#tunnels.end(instanceIds)
  }

  forward(call: UpstreamCall, { agent, ...target }: Destination): void {
    this.#proxy.web(call.req, call.res, { target, agent }, (error) => call.onError(error))
  }

  forwardUpgrade(upgrade: Upgrade, { agent, ...target }: Destination) {
    this.#proxy.ws(upgrade.req, upgrade.socket, upgrade.head, { target, agent }, (error) => upgrade.onError(error))
  }

  /** The visitor of a request, or of a connection whose request could not be read. */
  #visitorOf(socket: Duplex, req: IncomingMessage | null): Visitor {
    const client = clientAddress(socket, this.#listeners.behindProxy(socket))
    const trusts = this.#trusts
    if (req === null || !trusts?.(client.ip)) return directVisitor(client)
    return visitorBehind(client, trusts, (name) => joinedHeader(req.rawHeaders, name))
  }

  #recordOf(req: IncomingMessage, requestId: string, visitor: Visitor, websocket: boolean): AccessRecord {
    const authority = () => joinedHeader(req.rawHeaders, 'host') ?? ''
    return new AccessRecord(this.observer, () => ({
      requestId,
      method: req.method ?? '',
      host: authority(),
      port: portOf(authority()),
      target: (req.url ?? '').slice(0, 2048),
      protocol: websocket ? 'websocket' : req.httpVersion === '1.0' ? 'http/1.0' : 'http/1.1',
      scheme: visitor.scheme,
      clientIp: visitor.ip,
      userAgent: joinedHeader(req.rawHeaders, 'user-agent') ?? '',
    }))
  }

  #onRequest(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean) {
    if (this.#refused.has(req.socket)) return
    const visitor = this.#visitorOf(req.socket, req)
    const exchange = this.#open(req, res, expectsContinue, visitor)
    const checked = checkRequest(req, this.limits)
    if ('status' in checked) {
      this.#refused.add(req.socket)
      return exchange.refuse({ kind: 'bad-request', ...checked })
    }
    if (req.url === '*') return this.#answerOptions(exchange)
    exchange.start(checked, new NodeFacts(req, checked, visitor, exchange.requestId), visitor)
  }

  #open(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean, visitor: Visitor): Exchange {
    const requestId = randomUUID()
    const record = this.#recordOf(req, requestId, visitor, false)
    const exchange = new Exchange(this, { req, res, requestId, record, expectsContinue })
    const { socket } = req
    this.#onSocket(socket).add(exchange)
    this.#lastRequest.set(socket, req)
    this.#exchanges.set(req, exchange)
    this.#openExchanges.add(exchange)
    res.once('close', () => {
      this.#bySocket.get(socket)?.delete(exchange)
      this.#openExchanges.delete(exchange)
      this.#listeners.oneLess()
    })
    return exchange
  }

  // Node does not report the end of a pipelined answer that waits behind another one, so track exchanges by socket.
  #onSocket(socket: Duplex): Set<Exchange> {
    const known = this.#bySocket.get(socket)
    if (known) return known
    const open = new Set<Exchange>()
    this.#bySocket.set(socket, open)
    socket.once('close', () => {
      for (const exchange of open) {
        exchange.onClientClose()
        this.#openExchanges.delete(exchange)
      }
    })
    return open
  }

  #refuse(req: IncomingMessage, res: ServerResponse, status: number, detail: string): void {
    if (this.#refused.has(req.socket)) return
    this.#refused.add(req.socket)
    this.#open(req, res, false, this.#visitorOf(req.socket, req)).refuse({ kind: 'bad-request', status, detail })
  }

  // `OPTIONS *` asks about this server, not about an app (RFC 9110 §9.3.7).
  #answerOptions(exchange: Exchange) {
    const headers: [string, string][] = [['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']]
    exchange.answer({ status: 204, headers, body: null, cache: 'none', why: 'options' })
  }

  #onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer) {
    if (this.#refused.has(socket)) return void socket.destroy()
    const requestId = randomUUID()
    const visitor = this.#visitorOf(socket, req)
    const record = this.#recordOf(req, requestId, visitor, true)
    const onOver = () => {
      this.#openUpgrades.delete(upgrade)
      this.#tunnels.delete(upgrade)
      this.#listeners.oneLess()
    }
    const upgrade = new Upgrade(this, { req, socket, head, requestId, record, onOver })
    this.#upgrades.set(req, upgrade)
    this.#openUpgrades.add(upgrade)
    this.#tunnels.add(upgrade)
    const checked = checkRequest(req, this.limits)
    if ('status' in checked) return upgrade.refuse({ kind: 'bad-request', ...checked })
    upgrade.start(checked, new NodeFacts(req, checked, visitor, requestId), visitor)
  }

  // Handles bytes that the parser rejected.
  #onClientError(error: ParserError, socket: Duplex) {
    // A failed TLS handshake: the TLS layer counts it, and an error page cannot be sent.
    if (!this.#listeners.speaks(socket) || !socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
    if (this.#refused.has(socket)) return
    this.#refused.add(socket)
    const open = [...(this.#bySocket.get(socket) ?? [])]
    const last = open.at(-1)
    if (this.#lastRequest.get(socket)?.complete === false) {
      // The body of a request is malformed: its request gets one answer, and nothing after it can be parsed.
      if (last === undefined) socket.end(() => socket.destroy())
      else if (open.length === 1) last.onBodyFault(400, unreadable)
      else socket.destroy()
    } else if (last === undefined) this.#rejectUnread(error, socket)
    // Pipelined behind complete requests: answer after them.
    else last.res.once('close', () => this.#rejectUnread(error, socket))
  }

  #rejectUnread(error: ParserError, socket: Duplex): void {
    if (!socket.writable) return
    const { status, detail } = refusalOf(error, this.limits)
    this.#rejectRaw(socket, status, detail)
  }

  #rejectRaw(socket: Duplex, status: number, detail: string, req?: IncomingMessage): void {
    socket.on('error', () => {})
    const problem: Problem = { kind: 'bad-request', status, detail }
    const requestId = randomUUID()
    const page = renderProblem(problem, { requestId, accept: undefined, dashboardUrl: '' })
    socket.end(encodePage(page), () => socket.destroy())
    const visitor = this.#visitorOf(socket, req ?? null)
    const nothing = { rawHeaders: [] as string[], method: '', url: '', httpVersion: '1.1' } as unknown as IncomingMessage
    const record = this.#recordOf(req ?? nothing, requestId, visitor, false)
    Object.assign(record, { status, reason: problem.kind, bytesOut: page.body.length })
    record.end()
  }

  // A client connection is silent: close it if idle; give it up if it owes a body or does not read; leave it if it waits for a slow
  // instance.
  #onClientSilence(socket: net.Socket): void {
    const open = this.#bySocket.get(socket)
    if (!open || open.size === 0) return void socket.destroy()
    if (socket.writableLength > 0) return void socket.destroy()
    for (const exchange of open) if (!exchange.req.complete) exchange.onBodyFault(408, 'The body of the request did not arrive in time.')
  }

  async drain({ deadlineMs, idleGraceMs }: DrainOptions): Promise<DrainResult> {
    this.draining = true
    await this.#listeners.drain(deadlineMs, idleGraceMs)
    const cut = this.#openExchanges.size + this.#openUpgrades.size
    await this.#tunnels.end(null)
    await this.close()
    return { cut }
  }

  async close(): Promise<void> {
    this.draining = true
    for (const upgrade of this.#openUpgrades) upgrade.destroy()
    await this.#listeners.close()
    this.upstreams.close()
    this.#proxy.close()
  }
}
