import { z } from 'zod'
import { AppError } from '@/shared/errors'
import { versionHeader } from '@/shared/naming'
import { getPlatform } from '../../platform'
import { authorize } from '../../teams/policy'
import { closingWith, watchAccess } from '../access'
import { etagOf, isFresh } from '../etag'
import { errorResponse, newRequestId, reportUnexpected } from '../http-error'
import { authenticate, requireSameOrigin, signInRequired } from '../session'
import { matchRoute, restBase } from './catalogue'
import type { RestRoute, RouteInput } from './route'

/** Inputs are settings and variables; files go through `raw` bodies. */
const maxJsonBytes = 1024 * 1024

/** Serves one request of REST v1: find the route, authenticate, authorize, validate, one use-case, present. */
export async function handleRest(request: Request): Promise<Response> {
  const requestId = newRequestId()
  const url = new URL(request.url)
  try {
    const match = matchRoute(request.method, decodePath(url.pathname.slice(restBase.length)))
    if (!match) throw new AppError('ERR_NOT_FOUND', `There is no ${url.pathname}.`, { nextAction: `See ${restBase}/openapi.json for what there is.` })
    if ('allow' in match) return methodNotAllowed(request.method, match.allow, requestId)
    return await serve(match.route, match.params, request, url)
  } catch (error) {
    reportUnexpected(error, requestId, `${request.method} ${url.pathname}`)
    return errorResponse(error, requestId)
  }
}

async function serve(route: RestRoute, rawParams: Record<string, string>, request: Request, url: URL): Promise<Response> {
  const { headers, signal } = request
  const identity = await authenticate(headers)
  if (!identity) throw signInRequired()
  if (identity.by === 'cookie' && route.method !== 'GET') requireSameOrigin(headers)
  authorize(identity.actor, route.action)
  const params = route.params?.parse(rawParams)
  const query = readQuery(route, url.searchParams)
  const body = route.body === 'raw' ? rawBody(request) : route.body?.parse(await readJson(request))
  const input = { actor: identity.actor, params, query, body, headers, signal }
  const response = 'contentType' in route.answer ? await stream(route, input) : present(route, await route.handle(input), headers)
  response.headers.set(versionHeader, getPlatform().settings.version)
  return response
}

/** A field that is not known, or given twice, is a mistake of the caller: an answer that ignores it would be about something else. */
function readQuery(route: RestRoute, given: URLSearchParams): unknown {
  const names = [...given.keys()]
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new AppError('ERR_INVALID_INPUT', `${twice} is given more than once.`, { nextAction: 'Give it once.' })
  return (route.query ?? z.object({})).strict().parse(Object.fromEntries(given))
}

/** An answer that may take long ends when who asked for it has lost their access. */
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
  const etag = etagOf(body)
  // A private cache may keep it, and asks each time whether it is still so.
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

function methodNotAllowed(method: string, allow: string[], requestId: string): Response {
  const response = errorResponse(
    new AppError('ERR_METHOD_NOT_ALLOWED', `${method} is not possible here.`, { nextAction: `Use ${allow.join(' or ')}.` }),
    requestId,
  )
  response.headers.set('allow', allow.join(', '))
  return response
}

function rawBody(request: Request): AsyncIterable<Uint8Array> {
  if (!request.body)
    throw new AppError('ERR_INVALID_INPUT', 'The request has no body.', { nextAction: 'Send the archive as the body of the request.' })
  return request.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>
}

async function readJson(request: Request): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxJsonBytes) throw new AppError('ERR_TOO_LARGE', `The body is larger than ${maxJsonBytes / 1024} KiB.`)
    chunks.push(chunk)
  }
  if (size === 0) return {}
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new AppError('ERR_INVALID_INPUT', 'The body is not valid JSON.', { cause })
  }
}
