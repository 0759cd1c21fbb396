import type { LocalAnswer } from '../../gate/gate'
import type { Front, RequestBody } from '../downstream'
import type { ExchangeHost } from '../exchange-host'
import type { Clock } from '../io/clock'
import type { AnswerContext } from './answer-writer'
import type { HeadFacts } from './head-facts'
import type { RequestHead } from './parse/request-head'

/** What a connection needs of its engine. */
export interface ClientHost extends ExchangeHost {
  readonly clock: Clock
  closed(connection: object): void
}

/** Shared by all: made anew for each head that is written. */
const context: AnswerContext = { isHead: false, old: false, close: false, toldKeepAlive: false, requestId: Buffer.alloc(0) }

/** What is kept of the request under way on a connection, once its head was read. */
export abstract class ClientRequest {
  protocol: Front['protocol'] = 'http/1.1'
  body: RequestBody = 'none'
  contentLength = 0
  wantsUpgrade = false
  bytesIn = 0
  protected expectsContinue = false
  /** The connection ends after this answer. */
  protected close = false
  /** HTTP/1.0. */
  protected old = false
  #keepOld = false

  protected forgetRequest(): void {
    this.protocol = 'http/1.1'
    this.body = 'none'
    this.wantsUpgrade = false
    this.expectsContinue = false
    this.old = false
    this.#keepOld = false
    this.bytesIn = 0
  }

  protected readRequest(head: RequestHead): void {
    this.old = head.minor === 0
    this.#keepOld = this.old && head.keepAlive
    this.close = head.close || (this.old && !head.keepAlive)
    this.expectsContinue = head.expectsContinue
    this.wantsUpgrade = head.upgrade
    if (this.old) this.protocol = 'http/1.0'
    else if (head.upgrade) this.protocol = 'websocket'
    this.contentLength = head.contentLength
    if (head.hasBody) this.body = head.chunked ? 'chunked' : 'length'
  }

  /** What the head of the answer depends on. `last`: no request follows, whatever the client thinks. */
  protected answerContext(facts: HeadFacts, last: boolean): AnswerContext {
    // Who waits for "100 Continue" and gets an answer instead may send its body or not: nobody can tell where a next request begins.
    if (last || this.wantsUpgrade || this.expectsContinue) this.close = true
    context.isHead = facts.method === 'HEAD'
    context.old = this.old || this.wantsUpgrade
    context.close = this.close
    context.toldKeepAlive = this.#keepOld
    context.requestId = facts.id
    return context
  }
}

// `OPTIONS *` asks about this server, not about an app (RFC 9110 §9.3.7).
export const optionsAnswer: LocalAnswer = {
  status: 204,
  headers: [['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']],
  body: null,
  cache: 'none',
  why: 'options',
}
