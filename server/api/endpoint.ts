import type { z } from 'zod'
import type { Actor } from '../actor'
import type { Platform } from '../platform'
import type { Action } from '../teams/policy'

/**
 * One definition of an endpoint. The tRPC router, the routes of REST v1, the OpenAPI document, the rows of the authorization matrix and the
 * types of the CLI's client are derived from it. How to add one: docs/contributing/endpoint.md.
 */

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** `public`: no sign-in is needed. Otherwise an action of the permission table. */
export type Access = Action | 'public'

export interface Call<A extends Access, Input> {
  platform: Platform
  actor: A extends 'public' ? null : Actor
  /** Address of the client. */
  address: string
  /** Validated by the input schema of the definition. */
  input: Input
  /** Aborted when the client disconnects or its access ends. */
  signal: AbortSignal
}

interface Definition<A extends Access, M extends Method, P extends string | null, I extends z.ZodObject | undefined> {
  /** `operationId` in the OpenAPI document, and the name of the row in the authorization matrix. */
  id: string
  /** The action that the caller's role must allow. */
  action: A
  /** GET is a query of tRPC, every other method a mutation. */
  method: M
  /** Below /api/v1, with `{name}` for parameters, each a field of `input`. null: for the dashboard alone. */
  path: P
  /** One line for the documentation. */
  summary: string
  /**
   * All fields in one schema. REST takes those named in the path from there, the others from the query (GET, DELETE) or the JSON body.
   */
  input?: I
  /**
   * Example values for required fields, independent of team data. Shown in the OpenAPI document and sent by the authorization matrix test.
   */
  example?: I extends z.ZodObject ? Partial<z.input<I>> : never
}

type Parsed<I> = I extends z.ZodObject ? z.output<I> : Record<never, never>

/** Answers with one value. */
export interface ValueEndpoint<
  A extends Access = Access,
  M extends Method = Method,
  P extends string | null = string | null,
  I extends z.ZodObject | undefined = z.ZodObject | undefined,
  O extends z.ZodType | undefined = z.ZodType | undefined,
> extends Definition<A, M, P, I> {
  kind: 'value'
  /** Absent: no content, which REST answers with 204. */
  output?: O
  /** Status for REST; 201 if the endpoint creates something, 202 if it queues work. */
  status: 200 | 201 | 202
  run(call: Call<A, Parsed<I>>): Promise<O extends z.ZodType ? z.input<O> : void>
}

/** Yields values while the client listens: a tRPC subscription, server-sent events in REST. */
export interface StreamEndpoint<
  A extends Access = Access,
  P extends string | null = string | null,
  I extends z.ZodObject | undefined = z.ZodObject | undefined,
  T = unknown,
  R extends boolean = boolean,
> extends Definition<A, 'GET', P, I> {
  kind: 'stream'
  /** Each value has an `id`; after a lost connection the client continues after it with the input field `after`. */
  resumable: R
  run(call: Call<A, Parsed<I>>): AsyncIterable<T>
}

/** Answers with bytes, by REST alone. */
export interface FileEndpoint<A extends Access = Access, P extends string = string, I extends z.ZodObject | undefined = z.ZodObject | undefined>
  extends Definition<A, 'GET', P, I> {
  kind: 'file'
  contentType: 'application/zip' | 'text/plain'
  run(call: Call<A, Parsed<I>>): Promise<Response>
}

/** Receives the bytes of the request as a stream; REST only. */
export interface UploadEndpoint<A extends Access = Access, P extends string = string, O extends z.ZodType = z.ZodType>
  extends Definition<A, 'POST', P, undefined> {
  kind: 'upload'
  output: O
  run(call: Call<A, Record<never, never>> & { body: AsyncIterable<Uint8Array> }): Promise<z.input<O>>
}

// biome-ignore lint/suspicious/noExplicitAny: the parameters of `run` differ from endpoint to endpoint
type Any = any
export type Endpoint =
  | ValueEndpoint<Any, Any, Any, Any, Any>
  | StreamEndpoint<Any, Any, Any, Any, Any>
  | FileEndpoint<Any, Any, Any>
  | UploadEndpoint<Any, Any, Any>

/** Defines an endpoint that answers with one value. */
export function endpoint<
  const A extends Access,
  const M extends Method,
  const P extends string | null,
  I extends z.ZodObject | undefined = undefined,
  O extends z.ZodType | undefined = undefined,
>(definition: Omit<ValueEndpoint<A, M, P, I, O>, 'kind' | 'status'> & { status?: 201 | 202 }): ValueEndpoint<A, M, P, I, O> {
  return { status: 200, ...definition, kind: 'value' }
}

/** Defines an endpoint that yields values, each after a change. `resumable` ones have an `id` and an input field `after`. */
export function stream<
  const A extends Access,
  const P extends string | null,
  T,
  const R extends boolean,
  I extends z.ZodObject | undefined = undefined,
>(definition: Omit<StreamEndpoint<A, P, I, T, R>, 'kind' | 'method'>): StreamEndpoint<A, P, I, T, R> {
  return { ...definition, kind: 'stream', method: 'GET' }
}

/** Defines an endpoint of REST that answers with a file. */
export function file<const A extends Access, const P extends string, I extends z.ZodObject | undefined = undefined>(
  definition: Omit<FileEndpoint<A, P, I>, 'kind' | 'method'>,
): FileEndpoint<A, P, I> {
  return { ...definition, kind: 'file', method: 'GET' }
}

/** Defines an endpoint of REST that takes a file. */
export function upload<const A extends Access, const P extends string, O extends z.ZodType>(
  definition: Omit<UploadEndpoint<A, P, O>, 'kind' | 'method'>,
): UploadEndpoint<A, P, O> {
  return { ...definition, kind: 'upload', method: 'POST' }
}
