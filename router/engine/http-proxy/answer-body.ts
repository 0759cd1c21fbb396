import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { LocalAnswer } from '../../gate/gate'
import { clientTrailers } from './headers'
import { isStreamed, openBody } from './local-answer'

export interface BodyCallbacks {
  /** HEAD, 204 and 304: no body is sent to the client. */
  bodyless: boolean
  /** Bytes that went to the client. */
  count: (bytes: number) => void
  /** The instance or the filter failed; called before `done`. */
  broke: () => void
  done: (error: Error | null) => void
}

/**
 * Whether an answer without a body (RFC 9112 §6.3) announces one and may therefore send it. The client does not wait for it, and the
 * connection is not reused.
 */
function isUncertain({ statusCode, headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return statusCode === 204 || statusCode === 304
  return statusCode === 204 && Number(headers['content-length'] ?? 0) > 0
}

/** Answers that Node's parser accepts although RFC 9112 forbids them: another version (§2.3), an unknown transfer coding (§6.1). */
export function isUnreadable({ httpVersionMajor, headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding']
  return httpVersionMajor !== 1 || (coding !== undefined && coding.toLowerCase() !== 'chunked')
}

/** Sends the body and trailers of an instance's answer, through a filter if there is one. */
export function passBody(answer: IncomingMessage, through: NodeJS.ReadWriteStream | null, res: ServerResponse, callbacks: BodyCallbacks): void {
  const { broke } = callbacks
  const done = (error?: Error | null) => callbacks.done(error ?? null)
  const count = (chunk: Buffer) => callbacks.count(chunk.length)
  if (isUncertain(answer)) {
    endUnread(through)
    res.end()
    answer.on('error', () => {}).destroy()
    done()
    return
  }
  answer.once('error', broke)
  through?.once('error', broke)
  answer.once('end', () => {
    if (answer.rawTrailers.length > 0 && res.chunkedEncoding) res.addTrailers(clientTrailers(answer))
  })
  if (through && !callbacks.bodyless) {
    through.on('data', count)
    return void pipeline(answer, through, res, done)
  }
  // A filter may produce bytes even for an empty body (an archive's frame); these must not follow a head without body.
  endUnread(through)
  answer.on('data', count)
  pipeline(answer, res, done)
}

/** Writes the body of an answer made by the router and ends it; calls `failed` if the body or the connection breaks. */
export function writeOwnBody(body: LocalAnswer['body'], res: ServerResponse, count: (bytes: number) => void, failed: (error: Error) => void): void {
  if (!isStreamed(body)) {
    count(body?.length ?? 0)
    return void res.end(body ?? undefined)
  }
  const source = openBody(body)
  source.on('data', (chunk: Buffer) => count(chunk.length))
  pipeline(source, res, (error) => {
    if (!error) return
    failed(error)
    res.destroy()
  })
}

/** Ends a filter's stream whose output is not sent, so that it frees its memory. */
export function endUnread(through: NodeJS.ReadWriteStream | null): void {
  through?.on('error', () => {}).resume()
  through?.end()
}
