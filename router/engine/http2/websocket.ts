import { createHash, randomBytes } from 'node:crypto'
import type { HeaderEdits } from '../../gate/gate'
import type { AnswerHead } from '../http1/parse/answer-head'
import { encodeAnswerHead } from './answer-fields'
import type { RequestHead } from './request-head'

/** WebSockets over HTTP/2 (RFC 8441): an extended CONNECT towards us is a handshake of RFC 6455 towards the instance. */

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** What the handshake over HTTP/1.1 says itself, or has no place in it. */
export const notOfHandshake: ReadonlySet<string> = new Set(['sec-websocket-key', 'sec-websocket-accept', 'te', 'content-length'])
/** What the answer over HTTP/2 has no place for (RFC 8441 §5). */
const notOfAnswer: ReadonlySet<string> = new Set(['sec-websocket-accept', 'content-length', 'transfer-encoding', 'connection', 'upgrade'])

export const asksForWebSocket = (head: RequestHead): boolean => head.method === 'CONNECT' && head.protocol === 'websocket'

/** The client's part of the handshake, which HTTP/2 has no need of. */
export class Handshake {
  readonly key = randomBytes(16).toString('base64')

  /** The lines that make a request one, each with its CRLF. */
  get lines(): string {
    return `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${this.key}\r\n`
  }

  /** Whether the instance accepted the handshake (RFC 6455 §4.1), which the client cannot check itself. */
  isAccepted(head: AnswerHead): boolean {
    const expected = createHash('sha1').update(`${this.key}${acceptGuid}`).digest('base64')
    return head.fields.joined(head.bytes, 'sec-websocket-accept', ', ') === expected
  }
}

/** Appends the head that stands for a 101 over HTTP/2: a plain 200. */
export function encodeSwitch(fields: Buffer[], head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null, id: Buffer): void {
  head.fields.cutNames(head.bytes, notOfAnswer)
  encodeAnswerHead(fields, head, edits, setCookie, id, 200)
}
