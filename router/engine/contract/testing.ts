/** Test tools of the contract suite: real loopback sockets at both ends, with access to every byte. */
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { Route, RouteTable, Target } from '@/shared/route-table'
import type { EngineLimits } from '../../env'
import type { RouterLog } from '../../log'
import { HostTable } from '../../match/host-table'
import type { EngineServices } from '../engine'
import { LeastLoaded, OpenGate, silentObserver } from './doubles'

export const quietLog: RouterLog = { info: () => {}, warn: () => {}, error: () => {} }

export const testLimits: EngineLimits = {
  maxHeaderBytes: 16_384,
  maxHeaders: 100,
  clientHeadTimeoutMs: 1_000,
  clientIdleTimeoutMs: 1_500,
  keepAliveMs: 5_000,
  connectTimeoutMs: 800,
  upstreamTimeoutMs: 1_000,
  upstreamIdleMs: 4_000,
  lingerMs: 1_000,
}

export function routeTo(host: string, targets: Target[], extra: Partial<Route> = {}): Route {
  return { host, teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live', targets, ...extra }
}

let lastVersion = 0
export function tableOf(routes: Route[]): RouteTable {
  return { version: ++lastVersion, generatedAt: new Date().toISOString(), dashboardUrl: 'http://localhost:3000', routes }
}

export const hostTable = (routes: Route[]) => new HostTable(tableOf(routes))

export interface Closable {
  close(): Promise<void>
}

/** Waits until `condition` holds; throws an error with `what` at the deadline. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A connection from the view of a raw origin. */
export interface OriginConnection {
  socket: net.Socket
  bytes: Buffer
  ended: boolean
  closed: boolean
}

export interface RawOrigin extends Closable {
  target: Target
  port: number
  connections: OriginConnection[]
  /** All received text, in the order of connections. */
  text(): string
}

/** A TCP origin: calls `onData` with the connection after every chunk. */
export async function rawOrigin(onData: (connection: OriginConnection) => void, instanceId = 'raw'): Promise<RawOrigin> {
  const connections: OriginConnection[] = []
  const server = net.createServer({ allowHalfOpen: false }, (socket) => {
    const connection: OriginConnection = { socket, bytes: Buffer.alloc(0), ended: false, closed: false }
    connections.push(connection)
    socket.on('data', (chunk: Buffer) => {
      connection.bytes = Buffer.concat([connection.bytes, chunk])
      onData(connection)
    })
    socket.on('end', () => {
      connection.ended = true
    })
    socket.on('close', () => {
      connection.closed = true
    })
    socket.on('error', () => {})
  })
  await listen(server)
  const { port } = server.address() as AddressInfo
  return {
    target: { instanceId, host: '127.0.0.1', port },
    port,
    connections,
    text: () => connections.map((connection) => connection.bytes.toString('latin1')).join(''),
    close: async () => {
      for (const { socket } of connections) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** An origin that answers each complete request head with `answer`. */
export function scriptedOrigin(
  answer: string | ((head: string, connection: OriginConnection) => string | null),
  instanceId = 'raw',
): Promise<RawOrigin> {
  const seen = new WeakMap<OriginConnection, number>()
  return rawOrigin((connection) => {
    const from = seen.get(connection) ?? 0
    const end = connection.bytes.indexOf('\r\n\r\n', from)
    if (end === -1) return
    seen.set(connection, end + 4)
    const text = typeof answer === 'string' ? answer : answer(connection.bytes.subarray(from, end + 4).toString('latin1'), connection)
    if (text !== null) connection.socket.write(text, 'latin1')
  }, instanceId)
}

export interface HttpOrigin extends Closable {
  target: Target
  server: http.Server
  /** Number of connections accepted so far. */
  accepted(): number
  /** Number of open connections. */
  open(): number
}

export async function httpOrigin(listener: http.RequestListener, instanceId = 'app'): Promise<HttpOrigin> {
  const server = http.createServer(listener)
  let accepted = 0
  const open = new Set<net.Socket>()
  server.on('connection', (socket) => {
    accepted++
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  await listen(server)
  const { port } = server.address() as AddressInfo
  return {
    target: { instanceId, host: '127.0.0.1', port },
    server,
    accepted: () => accepted,
    open: () => open.size,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

async function listen(server: net.Server): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
}

/** A raw client connection that interprets nothing. */
export class RawClient {
  readonly socket: net.Socket
  received = Buffer.alloc(0)
  closed = false
  error: Error | undefined

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
    })
    socket.on('error', (error) => {
      this.error = error
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  text(): string {
    return this.received.toString('latin1')
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Waits until the connection ends, or `enough` returns true for the received text. */
  async read(enough: (text: string) => boolean = () => false): Promise<string> {
    await until(
      `an answer on the client connection; so far: ${this.text().slice(0, 200)}`,
      () => this.closed || this.socket.readableEnded || enough(this.text()),
    )
    return this.text()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** Sends raw bytes on a new connection; returns everything received until it closes. */
export async function rawRequest(port: number, bytes: string | Buffer, enough?: (text: string) => boolean): Promise<string> {
  const client = await RawClient.connect(port)
  client.write(bytes)
  const text = await client.read(enough)
  client.destroy()
  return text
}

export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  trailers: NodeJS.Dict<string>
  body: Buffer
}

export interface RequestOptions {
  port: number
  host?: string
  method?: string
  path?: string
  headers?: http.OutgoingHttpHeaders
  body?: string | Buffer
  agent?: http.Agent
}

/** A well-behaved client; rejects when the response breaks off. */
export function request(options: RequestOptions): Promise<Answer> {
  const { port, host = 'app.test', method = 'GET', path = '/', headers = {}, body, agent } = options
  return new Promise((resolve, reject) => {
    const req = http.request({ port, host: '127.0.0.1', method, path, headers: { Host: host, ...headers }, agent: agent ?? false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, trailers: res.trailers, body: Buffer.concat(chunks) }))
    })
    req.on('error', reject)
    req.end(body)
  })
}

/** Minimal services: every request goes to the least loaded target, nothing is recorded. */
export const openServices = (table: HostTable): EngineServices => ({
  gate: new OpenGate(table),
  targets: new LeastLoaded(),
  observer: silentObserver,
})
