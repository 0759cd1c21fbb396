import { z } from 'zod'
import { AppError } from '@/shared/errors'
import { versionHeader } from '@/shared/naming'
import { getPlatform } from '../../platform'
import { authorize } from '../../teams/policy'
import { closingWith, watchAccess } from '../access'
import { readBytes } from '../body'
import type { Method } from '../endpoint'
import { isFresh, weakEtagOf } from '../etag'
import { errorResponse, methodNotAllowed, newRequestId, reportUnexpected } from '../http-error'
import { refuseImpossibleText } from '../impossible-text'
import { countCaller, countRefusal } from '../request-limit'
import { authenticate, requireSameOrigin, signInRequired } from '../session'
import { receiverOf } from '../webhooks'
import { matchRoute, restBase } from './catalogue'
import { answerOnce, type Content, mayBeKeyed, readIdempotencyKey } from './idempotency-key'
import type { RestRoute, RouteInput } from './route'
import { refuseUnknownFields } from './unknown-fields'

/** For JSON with settings and variables; files are sent as `raw` bodies. */
const maxJsonBytes = 1024 * 1024
const noFields = z.object({})

/** Handles a request of REST v1: finds the route, authenticates, authorizes, validates, calls the use-case and presents its result. */
export async function handleRest(request: Request): Promise<Response> {
  const receiver = receiverOf(request)
  if (receiver) return receiver(request)
  const requestId = newRequestId()
  const url = new URL(request.url)
  const extra = new Headers()
  const response = await answer({ request, url, extra, requestId }).catch((error: unknown) => {
    reportUnexpected(error, requestId, `${request.method} ${url.pathname}`)
    return errorResponse(error, requestId)
  })
  for (const [name, value] of extra) response.headers.set(name, value)
  return request.method === 'HEAD' ? withoutBody(response) : response
}

interface RestRequest {
  request: Request
  url: URL
  /** Headers for any response, including errors. */
  extra: Headers
  requestId: string
}

async function answer(asked: RestRequest): Promise<Response> {
  const { request, url, extra } = asked
  const { method } = request
  const match = matchRoute(method === 'HEAD' ? 'GET' : method, decodePath(url.pathname.slice(restBase.length)))
  if (!match) throw new AppError('ERR_NOT_FOUND', `There is no ${url.pathname}.`, { nextAction: `See ${restBase}/openapi.json for what there is.` })
  if ('allow' in match) return otherMethod(method, match.allow)
  extra.set(versionHeader, getPlatform().settings.version)
  const identity = await identify(request.headers, extra)
  countCaller(identity.actor, extra)
  return serve(match.route, match.params, identity, asked)
}

type Identity = NonNullable<Awaited<ReturnType<typeof authenticate>>>

async function identify(headers: Headers, extra: Headers): Promise<Identity> {
  try {
    const identity = await authenticate(headers)
    if (!identity) throw signInRequired()
    return identity
  } catch (error) {
    countRefusal(error, headers, extra)
    throw error
  }
}

async function serve(route: RestRoute, rawParams: Record<string, string>, identity: Identity, asked: RestRequest): Promise<Response> {
  const { request, url, requestId } = asked
  const { headers, signal } = request
  if (identity.by === 'cookie' && route.method !== 'GET') requireSameOrigin(headers)
  authorize(identity.actor, route.action)
  refuseImpossibleText(rawParams, 'path')
  const params = route.params?.parse(rawParams)
  const query = readQuery(route, url.searchParams)
  const input = { actor: identity.actor, params, query, body: undefined, headers, signal }
  if ('contentType' in route.answer) return request.method === 'HEAD' ? headOfStream(route.answer) : stream(route, input)
  const run = async (content: Content) => {
    const body = Buffer.isBuffer(content) ? parseBody(route, content) : content
    return present(route, await route.handle({ ...input, body }), headers)
  }
  const content = route.body === 'raw' ? rawBody(request) : await readBytes(request, maxJsonBytes)
  const key = mayBeKeyed(route) ? readIdempotencyKey(headers) : null
  if (key === null) return run(content)
  return answerOnce({ actor: identity.actor, key, target: `${route.method} ${url.pathname}${url.search}`, content, requestId }, run)
}

/** Refuse unknown and repeated fields: ignoring them would answer another question than the client asked. */
function readQuery(route: RestRoute, given: URLSearchParams): unknown {
  const names = [...given.keys()]
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new AppError('ERR_INVALID_INPUT', `${twice} is given more than once.`, { nextAction: 'Give it once.' })
  const query = Object.fromEntries(given)
  refuseImpossibleText(query, 'query')
  return (route.query ?? noFields).strict().parse(query)
}

function parseBody({ body, method }: RestRoute, bytes: Buffer): unknown {
  // GET and DELETE have no defined body (RFC 9110 §9.3).
  if (method === 'GET' || method === 'DELETE') return undefined
  const schema = body === null || body === 'raw' ? noFields : body
  const value = parseJson(bytes)
  refuseImpossibleText(value, 'body')
  const parsed = schema.parse(value)
  refuseUnknownFields(schema, value)
  return body === null ? undefined : parsed
}

/** Ends a long response when the client loses its access. */
async function stream(route: RestRoute, input: RouteInput<unknown, unknown, unknown>): Promise<Response> {
  const access = watchAccess(input.headers, input.actor, route.action)
  try {
    const response = await route.handle({ ...input, signal: AbortSignal.any([input.signal, access.signal]) })
    if (!(response instanceof Response)) throw new Error('a streaming route must answer with a Response')
    return closingWith(response, access)
  } catch (error) {
    access.close()
    throw error
  }
}

function present({ method, answer }: RestRoute, result: unknown, asked: Headers): Response {
  if (answer.status === 204) return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  if (!('schema' in answer)) throw new Error('a streaming route must answer with a Response')
  const body = JSON.stringify(answer.schema.parse(result))
  const type = { 'content-type': 'application/json' }
  if (method !== 'GET') return new Response(body, { status: answer.status, headers: { ...type, 'cache-control': 'no-store' } })
  const etag = weakEtagOf(body)
  // A private cache may store the response, but must revalidate it each time.
  const headers = { etag, 'cache-control': 'private, no-cache', vary: 'Authorization, Cookie' }
  if (isFresh(asked, etag)) return new Response(null, { status: 304, headers })
  return new Response(body, { status: answer.status, headers: { ...headers, ...type } })
}

function decodePath(pathname: string): string {
  try {
    return decodeURIComponent(pathname)
  } catch {
    throw new AppError('ERR_INVALID_INPUT', 'The path holds a broken percent escape.')
  }
}

/** Answers OPTIONS, or 405 for an unsupported method. */
function otherMethod(method: string, known: Method[]): Response {
  const allow = [...known, ...(known.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow, 'cache-control': 'no-store' } })
  return methodNotAllowed(method, allow)
}

/** The response to HEAD for a stream: the stream is not started. */
const headOfStream = ({ contentType }: { contentType: string }): Response =>
  new Response(null, { headers: { 'content-type': contentType, 'cache-control': 'no-store' } })

async function withoutBody(response: Response): Promise<Response> {
  const headers = new Headers(response.headers)
  if (response.body) headers.set('content-length', String((await response.arrayBuffer()).byteLength))
  return new Response(null, { status: response.status, headers })
}

function rawBody(request: Request): AsyncIterable<Uint8Array> {
  if (!request.body)
    throw new AppError('ERR_INVALID_INPUT', 'The request has no body.', { nextAction: 'Send the archive as the body of the request.' })
  return request.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AppError('ERR_INVALID_INPUT', 'The body is not valid JSON.', { cause })
  }
}
