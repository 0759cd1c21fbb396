import type { Admission, ForwardPlan } from '../../gate/gate'
import type { Problem } from '../../pages/pages'
import { isLease, type Lease, type Outcome } from '../../targets/targets'
import { chunked, counted, writeBody, writeBodyEnd } from '../http1/answer-writer'
import { Turns } from '../turns'
import type { UpstreamConnection } from './connection'

/** A request at its instance: the place it holds there, the connection, and what went over it. */
export abstract class UpstreamSide extends Turns {
  protected plan: ForwardPlan | null = null
  protected lease: Lease | null = null
  protected upstream: UpstreamConnection | null = null
  protected attempts = 0
  protected sentAt = 0
  protected sentHead: Buffer | null = null
  /** Payload given so far. */
  protected bodySize = 0

  protected abstract tooLarge(most: number): void

  cookie(): string | undefined {
    return this.front.facts.header('cookie')
  }

  get secure(): boolean {
    return this.front.facts.scheme === 'https'
  }

  // What was asked stays known: as it was sent, or in a copy where it was sent otherwise.
  protected keepHead(head: Buffer): void {
    if (this.sentHead === null) {
      if (this.plan?.target === null && this.plan.requestHeaders === null) this.front.facts.movedTo(head)
      else this.front.facts.detach()
    }
    this.sentHead = head
  }

  /** Called once when a request takes long: it must not hold the shared memory its head was put together in. */
  settle(): void {
    if (this.sentHead !== null) this.sentHead = Buffer.from(this.sentHead)
    this.front.facts.detach()
  }

  /** Payload of the request. False: wait for `onDrain`. Leaves with the next `flush`. */
  sendBody(bytes: Buffer, start: number, end: number) {
    const upstream = this.upstream
    if (upstream === null || end === start) return
    this.bodySize += end - start
    const most = this.plan?.maxBodyBytes ?? null
    if (most !== null && this.bodySize > most) return this.tooLarge(most)
    writeBody(upstream.out, this.#framing(), bytes, start, end)
  }

  /** The request's body is whole. */
  endBody(trailers: [string, string][] | null): void {
    const upstream = this.upstream
    if (upstream === null) return
    upstream.requestEnded()
    writeBodyEnd(upstream.out, this.#framing(), trailers)
  }

  #framing(): number {
    return this.front.body === 'chunked' ? chunked : counted
  }

  /** Sends what was given. False: the instance is slow, `onDrain` says when to go on. */
  flush(): boolean {
    return this.upstream?.flush() ?? true
  }

  /** Bytes of a switched connection. */
  sendTunnel(bytes: Buffer, start: number, end: number): boolean {
    const upstream = this.upstream
    if (upstream === null) return true
    upstream.out.put(bytes, start, end)
    return upstream.flush()
  }

  endTunnel(): void {
    this.upstream?.endTunnel()
  }

  /** The client is slow: nothing more is read from the instance until `resumeAnswer`. */
  pauseAnswer(): void {
    this.upstream?.pause()
  }

  resumeAnswer(): void {
    this.upstream?.resume()
  }

  protected dropUpstream(outcome: Outcome): void {
    const upstream = this.upstream
    this.upstream = null
    upstream?.abort()
    this.release(outcome)
  }

  protected release(outcome: Outcome): void {
    const lease = this.lease
    this.lease = null
    lease?.done(outcome)
  }

  protected forgetPlan(): void {
    this.plan = null
    this.lease = null
    this.sentHead = null
  }
}

/** The request is over: what it waited for goes back. */
export function abandon(lease: Lease | Problem): void {
  if (isLease(lease)) lease.done({ kind: 'client-left' })
}

/** The same for a plan: others may be waiting for what its filter would have seen. */
export function unwanted(admission: Admission): void {
  if (admission.kind === 'forward') admission.filter?.abort()
}
