import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { LocalAnswer } from '../../gate/gate'
import { clientTrailers } from './headers'
import { isStreamed, openBody } from './local-answer'

export interface BodyCallbacks {
  /** HEAD, 204 and 304: whatever comes, nothing is sent. */
  bodyless: boolean
  /** Bytes that went to the client. */
  count: (bytes: number) => void
  /** The instance or the filter failed, before `done` says so. */
  broke: () => void
  done: (error: Error | null) => void
}

/**
 * Whether an answer that has no body (RFC 9112 §6.3) says that one follows, and so may send it all the same: the client is not kept
 * waiting for it, and the connection is not used again.
 */
function isUncertain({ statusCode, headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return statusCode === 204 || statusCode === 304
  return statusCode === 204 && Number(headers['content-length'] ?? 0) > 0
}

/** What Node's parser lets through and RFC 9112 does not: another version (§2.3), an unknown transfer coding (§6.1). */
export function isUnreadable({ httpVersionMajor, headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding']
  return httpVersionMajor !== 1 || (coding !== undefined && coding.toLowerCase() !== 'chunked')
}

/** Passes the body of an instance's answer, and its trailers, through a filter or as it is. */
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
  // What a filter would make of no body (the frame of an empty archive) must not follow a head that has none.
  endUnread(through)
  answer.on('data', count)
  pipeline(answer, res, done)
}

/** Writes the body of an answer of ours and ends it; `failed` when it broke off, and the connection with it. */
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
