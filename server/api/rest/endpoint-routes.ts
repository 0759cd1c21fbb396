import type { z } from 'zod'
import type { Actor } from '../../actor'
import { getPlatform } from '../../platform'
import type { Endpoint } from '../endpoint'
import { type EndpointTree, isEndpoint } from '../procedures'
import { clientAddress } from '../visitor'
import { streamLines } from './event-stream'
import type { Answer, RestRoute, RouteInput } from './route'

/** Derives the routes of REST v1 from the endpoint definitions. */
export function routesOf(tree: EndpointTree): RestRoute[] {
  return Object.values(tree).flatMap((node) => {
    if (!isEndpoint(node)) return routesOf(node)
    return node.path === null ? [] : [routeOf(node)]
  })
}

function routeOf(endpoint: Endpoint): RestRoute {
  const { id, method, path, action, summary, example } = endpoint
  const fields = fieldsOf(endpoint)
  const inBody = Object.entries(example ?? {}).filter(([name]) => !path.includes(`{${name}}`))
  return {
    ...{ id, method, path, action, summary },
    ...fields,
    example: fields.body && inBody.length > 0 ? Object.fromEntries(inBody) : null,
    answer: answerOf(endpoint),
    handle: (input) => handle(endpoint, input),
  }
}

const pick = (schema: z.ZodObject, names: string[]): z.ZodObject =>
  schema.pick(Object.fromEntries(names.map((name) => [name, true])) as Record<never, never>)

/** Assigns input fields to path, query or body: fields named in the path there, others in the query or in the body. */
function fieldsOf(endpoint: Endpoint): Pick<RestRoute, 'params' | 'query' | 'body'> {
  if (endpoint.kind === 'upload') return { params: null, query: null, body: 'raw' }
  const schema: z.ZodObject | undefined = endpoint.input
  if (!schema) return { params: null, query: null, body: null }
  const inPath = [...String(endpoint.path).matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const others = Object.keys(schema.shape).filter((name) => !inPath.includes(name))
  const rest = others.length === 0 ? null : inPath.length === 0 ? schema : pick(schema, others)
  const params = inPath.length === 0 ? null : pick(schema, inPath)
  const inQuery = endpoint.method === 'GET' || endpoint.method === 'DELETE'
  return inQuery ? { params, query: rest, body: null } : { params, query: null, body: rest }
}

function answerOf(endpoint: Endpoint): Answer {
  switch (endpoint.kind) {
    case 'value':
      return endpoint.output ? { status: endpoint.status, schema: endpoint.output } : { status: 204 }
    case 'stream':
      return { status: 200, contentType: 'text/event-stream' }
    case 'file':
      return { status: 200, contentType: endpoint.contentType }
    case 'upload':
      return { status: 201, schema: endpoint.output }
  }
}

async function handle(endpoint: Endpoint, { actor, params, query, body, headers, signal }: RouteInput<unknown, unknown, unknown>): Promise<unknown> {
  const call = callOf(actor, headers)
  if (endpoint.kind === 'upload') return endpoint.run({ ...call, input: {}, signal, body: body as AsyncIterable<Uint8Array> })
  const input = { ...(query as object), ...(body as object), ...(params as object) }
  if (endpoint.kind !== 'stream') return endpoint.run({ ...call, input, signal })
  // Browsers send this header automatically when they reconnect, with the original URL.
  const position = headers.get('last-event-id')
  const from = position === null ? input : { ...input, after: position }
  return streamLines((ended) => endpoint.run({ ...call, input: from, signal: ended }) as AsyncIterable<{ id: string }>, signal)
}

const callOf = (actor: Actor, headers: Headers) => ({ platform: getPlatform(), actor, address: clientAddress(headers) })
