import type { z } from 'zod'
import type { Actor } from '../../actor'
import type { Action } from '../../teams/policy'
import type { Method } from '../endpoint'

/** Kind of a route's response. A stream is described only by its content type. */
export type Answer =
  | { status: 200 | 201 | 202; schema: z.ZodType }
  | { status: 204 }
  | { status: 200; contentType: 'text/event-stream' | 'application/zip' | 'text/plain' }

export interface RouteInput<P, Q, B> {
  actor: Actor
  params: P
  query: Q
  /** Parsed by the schema; for `body: 'raw'` the byte stream of the request. */
  body: B
  headers: Headers
  /** Aborted when the client disconnects. */
  signal: AbortSignal
}

/** An endpoint of REST v1, derived from its definition by `endpoint-routes.ts`. */
export interface RestRoute {
  /** `operationId` of the OpenAPI document, and the key of the authorization matrix. */
  id: string
  method: Method
  /** Path below /api/v1, with `{name}` for parameters. */
  path: string
  action: Action
  summary: string
  params: z.ZodObject | null
  query: z.ZodObject | null
  body: z.ZodType | 'raw' | null
  /** Example body for the documentation. */
  example: Record<string, unknown> | null
  answer: Answer
  handle(input: RouteInput<unknown, unknown, unknown>): Promise<unknown>
}
