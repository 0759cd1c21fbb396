import { createHash, randomBytes } from 'node:crypto'
import type { HeaderEdits } from '../../gate/gate'
import type { AnswerHead } from '../http1/parse/answer-head'
import { encodeAnswerHead } from './answer-fields'
import type { RequestHead } from './request-head'

/** WebSockets over HTTP/2 (RFC 8441): an extended CONNECT of the client becomes a handshake of RFC 6455 with the instance. */

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Request fields that the HTTP/1.1 handshake sets itself or must not contain. */
export const notOfHandshake: ReadonlySet<string> = new Set(['sec-websocket-key', 'sec-websocket-accept', 'te', 'content-length'])
/** Response fields that must not appear in the HTTP/2 response (RFC 8441 §5). */
const notOfAnswer: ReadonlySet<string> = new Set(['sec-websocket-accept', 'content-length', 'transfer-encoding', 'connection', 'upgrade'])

export const asksForWebSocket = (head: RequestHead): boolean => head.method === 'CONNECT' && head.protocol === 'websocket'

/** The client's part of the RFC 6455 handshake, made by the router because HTTP/2 has none. */
export class Handshake {
  readonly key = randomBytes(16).toString('base64')

  /** The lines of the handshake request, each with CRLF. */
  get lines(): string {
    return `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${this.key}\r\n`
  }

  /** Whether the instance accepted the handshake (RFC 6455 §4.1). The client cannot check this, because the router made the key. */
  isAccepted(head: AnswerHead): boolean {
    const expected = createHash('sha1').update(`${this.key}${acceptGuid}`).digest('base64')
    return head.fields.joined(head.bytes, 'sec-websocket-accept', ', ') === expected
  }
}

/** Appends the HTTP/2 response head for a 101: status 200. */
export function encodeSwitch(fields: Buffer[], head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null, id: Buffer): void {
  head.fields.cutNames(head.bytes, notOfAnswer)
  encodeAnswerHead(fields, head, edits, setCookie, id, 200)
}
