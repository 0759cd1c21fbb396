import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HostTable, LiveRoute } from '../match/host-table'
import { encodePage, type Problem, renderProblem } from '../pages/pages'
import type { EngineLog } from './engine'
import { clientHeaders } from './headers'
import { UpstreamSilence } from './upstreams'

export interface UpgradeHost {
  readonly log: EngineLog
  readonly table: HostTable
  readonly upstreamTimeoutMs: number
  /** How long a side may take to close after the other one did. */
  readonly lingerMs: number
}

/** One connection that leaves HTTP: a WebSocket handshake, then bytes both ways until either side is done. */
export class Upgrade {
  readonly req: IncomingMessage
  readonly socket: Duplex
  readonly requestId: string
  readonly #host: UpgradeHost
  readonly #accept: string | undefined
  #route: LiveRoute | undefined
  #upstream: ClientRequest | undefined
  #switched = false
  /** An answer in HTTP is on its way to the client. */
  #refused = false
  #over = false
  #release: () => void = () => {}
  #onOver: () => void = () => {}

  constructor(host: UpgradeHost, req: IncomingMessage, socket: Duplex, requestId: string) {
    this.#host = host
    this.req = req
    this.socket = socket
    this.requestId = requestId
    this.#accept = req.headers.accept
    socket.on('error', () => {})
    socket.once('close', () => this.#onClientClose())
    socket.on('readable', this.#watch)
    socket.once('end', () => {
      if (!this.#switched && !this.#refused) socket.destroy()
    })
  }

  // Until the switch nobody reads this socket, and a client that left would go unnoticed. Asking for data while there is none brings
  // its end to light; bytes that came early stay where they are.
  readonly #watch = () => {
    if (this.socket.readableLength === 0) this.socket.read()
  }

  /** Called before the handshake is forwarded. `release` counts the connection out of its instance, `onOver` out of the engine. */
  begin(route: LiveRoute, release: () => void, onOver: () => void): void {
    this.#route = route
    this.#release = release
    this.#onOver = onOver
    if (this.socket.destroyed) this.#end()
  }

  /** The upstream request exists and has not sent a byte. */
  onUpstream(upstream: ClientRequest): void {
    this.#upstream = upstream
    upstream.path = this.req.url ?? '/'
    const { upstreamTimeoutMs } = this.#host
    upstream.setTimeout(upstreamTimeoutMs, () => upstream.destroy(new UpstreamSilence(`nothing received for ${upstreamTimeoutMs} ms`)))
    // http-proxy, which adds its own listener after this one, would repeat an answer's chunked framing over its decoded body. It cannot
    // have come before the next tick.
    process.nextTick(() => {
      upstream.removeAllListeners('response')
      upstream.on('response', (answer) => this.#onRefused(answer))
    })
    upstream.on('upgrade', (answer, upstreamSocket) => this.#onSwitched(answer, upstreamSocket))
  }

  // The instance answered in HTTP instead of switching: passed on, ended by the end of the connection.
  #onRefused(answer: IncomingMessage): void {
    this.#refused = true
    const headers = clientHeaders(answer, this.requestId)
    const lines = [`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}`]
    for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
    this.socket.write(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`, 'latin1')
    answer.on('error', () => this.socket.destroy())
    answer.on('aborted', () => this.socket.destroy())
    answer.once('close', () => this.#lingerAndEnd())
    answer.pipe(this.socket)
  }

  #onSwitched(answer: IncomingMessage, upstreamSocket: Duplex): void {
    this.#switched = true
    this.socket.off('readable', this.#watch)
    answer.headers['x-request-id'] = this.requestId
    if (this.socket.destroyed) upstreamSocket.destroy()
    // http-proxy pipes both ways and so passes on an orderly end; a side that vanished without one takes the other with it.
    bindEnds(this.socket, upstreamSocket, this.#host.lingerMs)
    bindEnds(upstreamSocket, this.socket, this.#host.lingerMs)
    upstreamSocket.once('close', () => this.#end())
  }

  /** Writes a page over the bare socket. */
  fail(problem: Problem): void {
    if (this.#switched || this.socket.destroyed) return
    const page = renderProblem(problem, { requestId: this.requestId, accept: this.#accept, dashboardUrl: this.#host.table.dashboardUrl })
    this.#refused = true
    this.socket.end(encodePage(page))
    this.#lingerAndEnd()
  }

  // The client has its answer; it gets a moment to read it and close.
  #lingerAndEnd(): void {
    this.#end()
    if (this.socket.destroyed) return
    const timer = setTimeout(() => this.socket.destroy(), this.#host.lingerMs)
    this.socket.once('close', () => clearTimeout(timer))
  }

  /** Logs why the instance could not be reached. */
  logFault(error: Error): void {
    if (!this.#switched && !this.socket.destroyed)
      this.#host.log.warn({ requestId: this.requestId, host: this.#route?.host, upgrade: true, err: error }, 'upgrade failed')
  }

  destroy(): void {
    this.socket.destroy()
  }

  #onClientClose(): void {
    if (this.#switched) return
    this.#upstream?.destroy()
    this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#release()
    this.#onOver()
  }
}

/** When `from` closes, `to` follows: after its last bytes when the end was orderly, at once when it was not. */
function bindEnds(from: Duplex, to: Duplex, lingerMs: number): void {
  from.once('close', () => {
    if (!from.readableEnded) return void to.destroy()
    if (to.destroyed) return
    const timer = setTimeout(() => to.destroy(), lingerMs)
    to.once('close', () => clearTimeout(timer))
  })
}
