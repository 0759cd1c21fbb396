import type net from 'node:net'
import type { Exchange } from '../exchange'
import { isEnough, Upload } from '../upload'
import { type ClientHost, ClientRequest } from './client-request'
import { closing, dropping, idle, mostPipelined, receiving, tunnel, waiting } from './client-states'
import { LF } from './parse/tables'

/**
 * What comes in on one HTTP/1 connection: given to whoever takes it in the connection's present state, kept while nobody can, and not
 * read any more where too much would be kept.
 */
export abstract class ClientInput extends ClientRequest {
  readonly socket: net.Socket
  abstract readonly exchange: Exchange
  protected readonly host: ClientHost
  protected readonly upload = new Upload()
  protected state = idle
  /** Received and not yet looked at; our own memory. */
  protected pending: Buffer | null = null
  /** Somebody is looking at bytes now, further up the stack: what is pending waits for them. */
  protected taking = false
  protected paused = false
  /** The body may be given to the exchange. */
  protected ready = false
  /** The client said its last byte. */
  protected ended = false
  /** Clock time at which the present state, or the silence in it, began. */
  protected since: number

  constructor(host: ClientHost, socket: net.Socket) {
    super()
    this.host = host
    this.socket = socket
    this.since = host.clock.now
  }

  /** One head. Returns the offset behind it; `at` itself when bytes are missing. */
  protected abstract takeHead(bytes: Buffer, at: number, end: number): number
  /** A run of a body that is wanted. Returns the offset behind it. */
  protected abstract takeBody(bytes: Buffer, at: number, end: number): number
  /** A run of a body that nobody wants any more. Returns the offset behind it. */
  protected abstract dropBody(bytes: Buffer, at: number, end: number): number
  /** Says the last byte. */
  protected abstract finish(): void

  /** Bytes from the socket: a view that is used again. */
  receive(bytes: Buffer, size: number) {
    if (this.state >= closing) return
    // The time of a head runs from its first byte; anything else is a sign of life.
    if (this.state !== idle || this.pending === null) this.since = this.host.clock.now
    if (this.state === tunnel) return this.takeTunnel(bytes, size)
    if (this.pending === null) return this.#take(bytes, 0, size, false)
    const grown = Buffer.concat([this.pending, bytes.subarray(0, size)])
    this.pending = grown
    // A head that drips in is looked at again only when a line of it ended.
    const worth = this.state !== idle || grown.length > this.host.limits.maxHeaderBytes || bytes.subarray(0, size).includes(LF)
    if (worth) this.takePending()
    else if (grown.length > mostPipelined) this.pause()
  }

  protected takePending(): void {
    const bytes = this.pending
    if (bytes === null || this.taking) return
    this.pending = null
    this.#take(bytes, 0, bytes.length, true)
  }

  /** `own`: the memory is ours to keep. */
  #take(bytes: Buffer, start: number, end: number, own: boolean): void {
    this.taking = true
    let at = start
    while (at < end) {
      if (this.state === idle && !this.socket.writableNeedDrain) {
        const after = this.takeHead(bytes, at, end)
        if (after === at) break
        at = after
      } else if (this.state === receiving && this.ready) at = this.takeBody(bytes, at, end)
      else if (this.state === dropping) at = this.dropBody(bytes, at, end)
      else break
    }
    this.taking = false
    if (this.ready && this.body !== 'none' && (this.state === receiving || this.state === waiting)) this.flushBody()
    if (at < end && this.state < closing) this.#keep(bytes, at, end, own)
    // No more comes, not even the rest of a head.
    if (this.state === idle && this.ended) this.finish()
  }

  #keep(bytes: Buffer, at: number, end: number, own: boolean): void {
    this.pending = own ? bytes.subarray(at, end) : Buffer.from(bytes.subarray(at, end))
    if (this.state !== idle && this.pending.length > mostPipelined) this.pause()
    if (this.upload.held && isEnough(this.pending, this.body, this.contentLength)) this.upload.goOn()
  }

  protected takeTunnel(bytes: Buffer, size: number): void {
    this.bytesIn += size
    if (!this.exchange.sendTunnel(bytes, 0, size)) this.pause()
  }

  protected flushBody(): void {
    if (!this.exchange.flush() && this.state === receiving) this.pause()
  }

  protected pause(): void {
    if (this.paused) return
    this.paused = true
    this.socket.pause()
  }

  protected resume(): void {
    if (!this.paused) return
    this.paused = false
    this.since = this.host.clock.now
    this.socket.resume()
  }
}
