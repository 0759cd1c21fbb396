import { createHash, createHmac } from 'node:crypto'
import { AppError, type ErrorCode } from '@/shared/errors'
import type { Actor } from '../../actor'
import type { KeyedRun, StoredAnswer } from '../../idempotency/idempotency'
import { getPlatform } from '../../platform'
import { errorResponse, reportUnexpected, toHttpError } from '../http-error'
import type { RestRoute } from './route'

/** Idempotency-Key: a repeated request gets the first response and has no second effect. */

export const maxKeyLength = 255
/** For Retry-After while the first request runs: most requests end within this time. */
const retryAfterSeconds = 2

/** Reads the header: a string of RFC 9651, or plain text, as many clients send it. null: absent. @throws ERR_INVALID_INPUT */
export function readIdempotencyKey(headers: Headers): string | null {
  const given = headers.get('idempotency-key')
  if (given === null) return null
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(given.trim())?.[1]?.replace(/\\(.)/g, '$1')
  const key = quoted ?? /^[\x21\x23-\x7e]+$/.exec(given.trim())?.[0]
  if (!key || key.length > maxKeyLength)
    throw new AppError('ERR_INVALID_INPUT', `Idempotency-Key must be one text of 1 to ${maxKeyLength} printable ASCII characters.`, {
      nextAction: 'Send a new UUID for each request, and the same one when you send that request again.',
    })
  return key
}

/** Methods that are not idempotent in HTTP. */
export const mayBeKeyed = ({ method }: RestRoute): boolean => method === 'POST' || method === 'PATCH'

export type Content = Buffer | AsyncIterable<Uint8Array>

interface KeyedRequest {
  actor: Actor
  key: string
  /** Method, path and query of the request. */
  target: string
  content: Content
  requestId: string
}

/**
 * Runs the request unless a request with the same key has run or is running. Stores the response, except responses that a retry may change: 5xx,
 * temporary refusals, invalid input.
 * @throws ERR_IDEMPOTENCY_KEY_REUSED, ERR_IDEMPOTENCY_KEY_RUNNING
 */
export async function answerOnce(request: KeyedRequest, run: (content: Content) => Promise<Response>): Promise<Response> {
  const { actor, key, content } = request
  const known = Buffer.isBuffer(content) ? fingerprintOf(request, digestOf(content)) : null
  const claim = await getPlatform().idempotency.claim(actor, key, known)
  if (claim.state === 'new') return runKeyed(claim.run, request, run)
  if (claim.state === 'running') {
    if (known && claim.fingerprint && !known.equals(claim.fingerprint)) throw reused()
    throw new AppError('ERR_IDEMPOTENCY_KEY_RUNNING', 'A request with this Idempotency-Key is still running.', {
      nextAction: `Send it again in ${retryAfterSeconds} s to get its answer.`,
      retryAfterSeconds,
    })
  }
  const again = known ?? fingerprintOf(request, await digestOfStream(content as AsyncIterable<Uint8Array>, claim.bodyBytes ?? 0))
  if (!claim.fingerprint || !again.equals(claim.fingerprint)) throw reused()
  const { status, headers, body } = claim.answer
  return new Response(body === '' ? null : body, { status, headers: [...headers, ['idempotent-replayed', 'true']] })
}

function reused(): AppError {
  return new AppError('ERR_IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used for another request: method, path or body differ.', {
    nextAction: 'Send a new key for a new request.',
  })
}

async function runKeyed(claimed: KeyedRun, request: KeyedRequest, run: (content: Content) => Promise<Response>): Promise<Response> {
  const body = Buffer.isBuffer(request.content) ? null : hashing(request.content)
  try {
    const response = await run(body?.content ?? request.content)
    return await keep(claimed, request, response, body)
  } catch (error) {
    // A refused upload may be incomplete, so it has no fingerprint.
    if (body || !isLasting(error)) {
      await claimed.abandon().catch((cause: unknown) => reportUnexpected(cause, request.requestId, 'forgetting an Idempotency-Key'))
      throw error
    }
    return keep(claimed, request, errorResponse(error, request.requestId), body)
  }
}

/** Stores the answer for repeated requests. The request has already taken effect, so the answer is returned even if it cannot be stored. */
async function keep(claimed: KeyedRun, request: KeyedRequest, response: Response, body: Hashed | null): Promise<Response> {
  const answer: StoredAnswer = { status: response.status, headers: [...response.headers], body: await response.text() }
  const of = body && { fingerprint: fingerprintOf(request, body.digest()), sizeBytes: body.sizeBytes() }
  await claimed
    .complete(answer, of ?? undefined)
    .catch((cause: unknown) => reportUnexpected(cause, request.requestId, 'keeping the answer of an Idempotency-Key'))
  return new Response(answer.body === '' ? null : answer.body, { status: answer.status, headers: answer.headers })
}

/** ERR_INVALID_INPUT: the request had no effect, so the corrected request may use the same key. */
const passing: readonly ErrorCode[] = ['ERR_INVALID_INPUT', 'ERR_RATE_LIMITED', 'ERR_DEPLOYMENT_RUNNING', 'ERR_CANCELED']

/** Whether a retry would get the same error. */
function isLasting(error: unknown): boolean {
  const { status, wire } = toHttpError(error, '')
  return status < 500 && wire.retryAfterSeconds === undefined && !passing.includes(wire.code)
}

const digestOf = (content: Buffer): Buffer => createHash('sha256').update(content).digest()

/** HMAC with a secret key: bodies contain values that must not be guessable from a database dump. */
function fingerprintOf({ target }: KeyedRequest, digest: Buffer): Buffer<ArrayBuffer> {
  const hmac = createHmac('sha256', `idempotency ${getPlatform().settings.authSecret}`)
  return hmac.update(`${target}\n`).update(digest).digest()
}

interface Hashed {
  content: AsyncIterable<Uint8Array>
  /** Digest of the bytes read so far. */
  digest(): Buffer
  sizeBytes(): number
}

function hashing(source: AsyncIterable<Uint8Array>): Hashed {
  const hash = createHash('sha256')
  let size = 0
  async function* pass(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  return { content: pass(), digest: () => hash.copy().digest(), sizeBytes: () => size }
}

/** Digest of a repeated upload. @throws ERR_IDEMPOTENCY_KEY_REUSED as soon as it exceeds the first upload's length */
async function digestOfStream(source: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Buffer> {
  const body = hashing(source)
  for await (const _ of body.content) if (body.sizeBytes() > sizeBytes) throw reused()
  return body.digest()
}
