import { STATUS_CODES } from 'node:http'
import type { Readable } from 'node:stream'
import type { LocalAnswer, StreamedBody } from '../../gate/gate'

/** Whether a body is a stream instead of a buffer. */
export function isStreamed(body: LocalAnswer['body']): body is StreamedBody {
  return body !== null && !Buffer.isBuffer(body)
}

/** The headers of a local answer as a flat list, including the request id. */
export function answerHeaders(answer: LocalAnswer, requestId: string): string[] {
  const flat: string[] = []
  for (const [name, value] of answer.headers) if (name.toLowerCase() !== 'x-request-id') flat.push(name, value)
  flat.push('X-Request-Id', requestId)
  return flat
}

/** The head of a local answer as an HTTP/1.1 message that closes the connection: for sockets that a parser no longer owns. */
export function encodeAnswerHead(answer: LocalAnswer, requestId: string): Buffer {
  const headers = answerHeaders(answer, requestId)
  const lines = [`HTTP/1.1 ${answer.status} ${answer.reason ?? STATUS_CODES[answer.status] ?? ''}`]
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
  lines.push(`Date: ${new Date().toUTCString()}`, 'Connection: close')
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

/** All streamed bodies of the router are Node streams. */
export const openBody = (body: StreamedBody): Readable => body.open() as Readable
