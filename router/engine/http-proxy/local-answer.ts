import { STATUS_CODES } from 'node:http'
import type { Readable } from 'node:stream'
import type { LocalAnswer, StreamedBody } from '../../gate/gate'

/** Whether a body is read from somewhere instead of being in memory. */
export function isStreamed(body: LocalAnswer['body']): body is StreamedBody {
  return body !== null && !Buffer.isBuffer(body)
}

/** The headers of an answer of ours as names and values one after the other, the request id among them, once. */
export function answerHeaders(answer: LocalAnswer, requestId: string): string[] {
  const flat: string[] = []
  for (const [name, value] of answer.headers) if (name.toLowerCase() !== 'x-request-id') flat.push(name, value)
  flat.push('X-Request-Id', requestId)
  return flat
}

/** An answer of ours as the head of an HTTP/1.1 message that ends its connection: for sockets that no longer belong to a parser. */
export function encodeAnswerHead(answer: LocalAnswer, requestId: string): Buffer {
  const headers = answerHeaders(answer, requestId)
  const lines = [`HTTP/1.1 ${answer.status} ${answer.reason ?? STATUS_CODES[answer.status] ?? ''}`]
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
  lines.push(`Date: ${new Date().toUTCString()}`, 'Connection: close')
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/** Node's streams are what every body of ours is made of. */
export const openBody = (body: StreamedBody): Readable => body.open() as Readable
