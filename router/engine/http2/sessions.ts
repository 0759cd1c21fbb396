import type { Socket } from 'node:net'
import type { ExchangeHost } from '../exchange'
import type { Offenders } from '../listen/offenders'
import { quietProbeMs } from '../upstream/faults'
import { H2Downstream } from './downstream'
import { clientPreface } from './protocol'
import { type ClientInfo, LastHost } from './request'
import type { RequestHead } from './request-head'
import { Session, type SessionHost } from './session'
import type { H2Stream } from './stream'
import { asksForWebSocket } from './websocket'

export type { ClientInfo } from './request'

/** Whether a connection starts with the HTTP/2 preface (prior knowledge, RFC 9113 §3.3). No HTTP/1 method is named PRI. */
export function isPriorKnowledge(bytes: Buffer, size: number): boolean {
  return size >= 4 && clientPreface.compare(bytes, 0, Math.min(size, clientPreface.length), 0, Math.min(size, clientPreface.length)) === 0
}

/** Maximum unused downstream objects kept for later requests; each holds some buffers. */
const maxFree = 1_024

/** All HTTP/2 connections of an engine. */
export class H2Sessions {
  readonly #host: ExchangeHost
  readonly #sessions = new Set<Session>()
  readonly #offenders: Offenders
  readonly #free: H2Downstream[] = []
  /** null: not draining. */
  #graceMs: number | null = null
  readonly #release = (downstream: H2Downstream) => {
    if (this.#free.length < maxFree) this.#free.push(downstream)
  }

  constructor(host: ExchangeHost, offenders: Offenders) {
    this.#host = host
    this.#offenders = offenders
  }

  /** Number of connections. */
  get size(): number {
    return this.#sessions.size
  }

  /** Number of open requests. */
  get open(): number {
    let open = 0
    for (const session of this.#sessions) open += session.open
    return open
  }

  /** Handles `socket` as an HTTP/2 connection from now on. */
  accept(socket: Socket, client: ClientInfo): void {
    const session = this.#begin(socket, client)
    socket.on('data', (chunk: Buffer) => session.receive(chunk))
  }

  /** Like `accept`, for a socket whose caller reuses its read buffer. Returns the function that receives the bytes. */
  adopt(socket: Socket, client: ClientInfo): (bytes: Buffer, size: number) => void {
    const session = this.#begin(socket, client)
    return (bytes, size) => session.receive(Buffer.from(bytes.subarray(0, size)))
  }

  #begin(socket: Socket, client: ClientInfo): Session {
    const last = new LastHost()
    const sessionHost: SessionHost = {
      limits: this.#host.limits,
      suspect: this.#offenders.has(client.address.ip, Date.now()),
      onFlood: () => {
        // A trusted proxy carries the requests of many visitors: only the connection with the flood is closed.
        if (client.trusts === null) this.#offenders.note(client.address.ip, Date.now())
      },
      onRequest: (stream, head, tooLarge) => {
        // A WebSocket may be silent for hours: TCP keep-alive detects a disconnected client.
        if (asksForWebSocket(head)) socket.setKeepAlive(true, quietProbeMs)
        this.#request(stream, head, tooLarge, client, last)
      },
      onClosed: (session) => this.#sessions.delete(session),
    }
    const session = new Session(socket, sessionHost)
    this.#sessions.add(session)
    // The TLS handshake was in progress when the drain began.
    if (this.#graceMs !== null) session.drain(this.#graceMs)
    return session
  }

  #request(stream: H2Stream, head: RequestHead, tooLarge: boolean, client: ClientInfo, last: LastHost): void {
    const downstream = this.#free.pop() ?? new H2Downstream(this.#host, this.#release)
    stream.taker = downstream
    downstream.begin(stream, head, tooLarge, client, last, this.#host.table)
  }

  /** Ends streams that waited too long for a client, one session per iteration. Run periodically. */
  *tick(): IterableIterator<void> {
    for (const session of this.#sessions) {
      session.tick(Date.now())
      yield
    }
  }

  /** Announces to every client that no requests are accepted after `graceMs`; each connection closes after its last answer. */
  drain(graceMs: number): void {
    this.#graceMs = graceMs
    for (const session of this.#sessions) session.drain(graceMs)
  }

  /** Destroys all connections. */
  close(): void {
    for (const session of [...this.#sessions]) session.destroy()
  }
}
