import { AppError } from '@/shared/errors'
import { versionHeader } from '@/shared/naming'
import { getPlatform } from '../../platform'
import { authorize } from '../../teams/policy'
import { errorResponse, newRequestId, reportUnexpected } from '../http-error'
import { authenticate, requireSameOrigin, signInRequired } from '../session'
import { matchRoute, restBase } from './catalogue'
import type { RestRoute } from './route'

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
  const query = route.query?.parse(Object.fromEntries(url.searchParams))
  const body = route.body === 'raw' ? rawBody(request) : route.body?.parse(await readJson(request))
  const result = await route.handle({ actor: identity.actor, params, query, body, headers, signal })
  const response = result instanceof Response ? result : present(route, result)
  response.headers.set(versionHeader, getPlatform().settings.version)
  return response
}

function present({ answer }: RestRoute, result: unknown): Response {
  const headers = { 'cache-control': 'no-store' }
  if (answer.status === 204) return new Response(null, { status: 204, headers })
  if (!('schema' in answer)) throw new Error('a streaming route must answer with a Response')
  return Response.json(answer.schema.parse(result), { status: answer.status, headers })
}

function decodePath(pathname: string): string {
  try {
    return decodeURIComponent(pathname)
  } catch {
    throw new AppError('ERR_INVALID_INPUT', 'The path holds a broken percent escape.')
  }
}

function methodNotAllowed(method: string, allow: string[], requestId: string): Response {
  const response = errorResponse(new AppError('ERR_INVALID_INPUT', `${method} is not possible here; ${allow.join(', ')} is.`), requestId)
  return new Response(response.body, { status: 405, headers: { ...Object.fromEntries(response.headers), allow: allow.join(', ') } })
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
