import type { AccessLine } from '@/shared/link'
import type { ForwardPlan, HeaderEdits, LocalAnswer, RequestFacts } from '../gate/gate'
import type { AnswerHead } from './http1/parse/answer-head'
import type { Outbox } from './io/slab'

/** Request facts that may refer to a reused buffer. */
export interface KeptFacts extends RequestFacts {
  /** Copies the facts to separate memory. Called before anything that outlives this turn of the event loop. */
  detach(): void
  /** The head was copied: `sent` starts with the original method and target and contains the forwarded header lines. */
  movedTo(sent: Buffer): void
}

export type RequestBody = 'none' | 'length' | 'chunked'

/**
 * The client's side of one request at a time: an HTTP/1.1 connection or an HTTP/2 stream. It passes the head and body to an `Exchange`,
 * which calls it with the answer. Bytes are valid during the call only.
 */
export interface Downstream {
  readonly facts: KeptFacts
  readonly protocol: AccessLine['protocol']
  readonly body: RequestBody
  /** Length of the body if `body` is 'length'. */
  readonly contentLength: number
  readonly wantsUpgrade: boolean
  /** Received and sent for this request so far, framing included. */
  readonly bytesIn: number
  readonly bytesOut: number
  /**
   * Writes the request head for the instance as HTTP/1.1, including the empty line. `plan` may change target and headers; the downstream
   * adds the lines with facts about the client (see `forwardedLines`).
   */
  writeHead(out: Outbox, plan: ForwardPlan): void
  /** Under many uploads: resolves when enough of the body has arrived, or the request has ended. null: forward now. */
  untilWorthAsking(): Promise<void> | null
  /** The head was sent to an instance: the body may follow. Not called again for a second attempt. */
  onForwarding(): void
  onInformation(head: AnswerHead): void
  onHead(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void
  onBody(bytes: Buffer, start: number, end: number): void
  onTrailers(trailers: [string, string][]): void
  /** Sends the bytes written so far. */
  onFlush(): void
  /** The answer is complete and the exchange has ended; the callee may start the next one. */
  onEnd(): void
  /** The connection is a tunnel from now on. */
  onSwitch(head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null): void
  onTunnelEnd(): void
  /** Sends an answer made by the router. The downstream calls `exchange.localDone()` after writing it. */
  answer(answer: LocalAnswer): void
  /** The answer cannot be finished: the client must see that it is incomplete. */
  abort(): void
  /** The instance accepts more of the body again. */
  onDrain(): void
}
