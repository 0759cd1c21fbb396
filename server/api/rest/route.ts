import type { z } from 'zod'
import type { Actor } from '../../platform'
import type { Action } from '../../teams/policy'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Shape = z.ZodObject
const none = Symbol('no schema')
type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

/** What a route answers with. A stream is described by its content type alone. */
export type Answer =
  | { status: 200 | 201; schema: z.ZodType }
  | { status: 204 }
  | { status: 200; contentType: 'text/event-stream' | 'application/zip' | 'text/plain' }

export interface RouteInput<P, Q, B> {
  actor: Actor
  params: P
  query: Q
  /** Parsed by the schema; for `body: 'raw'` the request's own stream. */
  body: B
  headers: Headers
  /** Aborted when the client has gone. */
  signal: AbortSignal
}

export interface RestRoute {
  /** `operationId` of the OpenAPI document, and the key of the authorization matrix. */
  id: string
  method: Method
  /** Below /api/v1, with `{name}` for parameters. */
  path: string
  action: Action
  summary: string
  params: Shape | null
  query: Shape | null
  body: z.ZodType | 'raw' | null
  answer: Answer
  handle(input: RouteInput<unknown, unknown, unknown>): Promise<unknown>
}

interface Definition<P extends Shape | typeof none, Q extends Shape | typeof none, B extends z.ZodType | 'raw' | typeof none> {
  id: string
  method: Method
  path: string
  action: Action
  summary: string
  params?: P
  query?: Q
  body?: B
  answer: Answer
  handle(input: RouteInput<Parsed<P>, Parsed<Q>, B extends 'raw' ? AsyncIterable<Uint8Array> : Parsed<B>>): Promise<unknown>
}

/** Binds the types of a route's schemas to its handler. */
export function defineRoute<
  P extends Shape | typeof none = typeof none,
  Q extends Shape | typeof none = typeof none,
  B extends z.ZodType | 'raw' | typeof none = typeof none,
>(definition: Definition<P, Q, B>): RestRoute {
  const { params, query, body, handle, ...rest } = definition
  return {
    ...rest,
    params: (params as Shape | undefined) ?? null,
    query: (query as Shape | undefined) ?? null,
    body: (body as z.ZodType | 'raw' | undefined) ?? null,
    // The dispatcher parses with these very schemas before it calls.
    handle: handle as RestRoute['handle'],
  }
}
