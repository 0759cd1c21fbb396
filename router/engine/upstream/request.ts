import type { ForwardPlan } from '../../gate/gate'
import type { Lease, Outcome } from '../../targets/targets'
import type { Downstream } from '../downstream'
import { chunked, counted, writeBody, writeBodyEnd } from '../http1/answer-writer'
import type { UpstreamConnection } from './connection'

/** The upstream side of one request: its plan, the lease of its instance, the connection, and what was sent over it. */
export class UpstreamRequest {
  plan: ForwardPlan | null = null
  lease: Lease | null = null
  connection: UpstreamConnection | null = null
  attempts = 0
  sentAt = 0
  sentHead: Buffer | null = null
  readonly #downstream: Downstream
  readonly #onTooLarge: (limit: number) => void
  /** Payload bytes sent so far. */
  #bodyBytes = 0

  /** `onTooLarge`: the body exceeds the limit of its project. */
  constructor(downstream: Downstream, onTooLarge: (limit: number) => void) {
    this.#downstream = downstream
    this.#onTooLarge = onTooLarge
  }

  /** Starts the next request. */
  begin(): void {
    this.attempts = 0
    this.#bodyBytes = 0
  }

  /** Keeps the request head readable after it was sent: in the sent bytes where they equal the received ones, else in a copy. */
  keepHead(head: Buffer): void {
    if (this.sentHead === null) {
      if (this.plan?.target === null && this.plan.requestHeaders === null) this.#downstream.facts.movedTo(head)
      else this.#downstream.facts.detach()
    }
    this.sentHead = head
  }

  /** Copies the head out of shared memory. Called once when a request takes long. */
  settle(): void {
    if (this.sentHead !== null) this.sentHead = Buffer.from(this.sentHead)
    this.#downstream.facts.detach()
  }

  /** Writes payload of the request; `flush` sends it. */
  sendBody(bytes: Buffer, start: number, end: number) {
    const { connection } = this
    if (connection === null || end === start) return
    this.#bodyBytes += end - start
    const limit = this.plan?.maxBodyBytes ?? null
    if (limit !== null && this.#bodyBytes > limit) return this.#onTooLarge(limit)
    writeBody(connection.out, this.#framing(), bytes, start, end)
  }

  /** Writes the end of the request's body. */
  endBody(trailers: [string, string][] | null): void {
    const { connection } = this
    if (connection === null) return
    connection.requestEnded()
    writeBodyEnd(connection.out, this.#framing(), trailers)
  }

  #framing(): number {
    return this.#downstream.body === 'chunked' ? chunked : counted
  }

  /** Sends what was written. False: the instance is slow, wait for `onDrain`. */
  flush(): boolean {
    return this.connection?.flush() ?? true
  }

  /** Sends bytes of a tunnel. False: the instance is slow, wait for `onDrain`. */
  sendTunnel(bytes: Buffer, start: number, end: number): boolean {
    const { connection } = this
    if (connection === null) return true
    connection.out.put(bytes, start, end)
    return connection.flush()
  }

  endTunnel(): void {
    this.connection?.endTunnel()
  }

  /** Stops reading from the instance until `resumeAnswer`: the client is slow. */
  pauseAnswer(): void {
    this.connection?.pause()
  }

  resumeAnswer(): void {
    this.connection?.resume()
  }

  /** Closes the connection and returns the lease. */
  drop(outcome: Outcome): void {
    const { connection } = this
    this.connection = null
    connection?.abort()
    this.release(outcome)
  }

  /** Returns the lease. */
  release(outcome: Outcome): void {
    const { lease } = this
    this.lease = null
    lease?.done(outcome)
  }

  /** Drops every reference of the request that has ended. */
  forget(): void {
    this.plan = null
    this.lease = null
    this.sentHead = null
  }
}
