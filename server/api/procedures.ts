import { type TRPCMutationProcedure, type TRPCQueryProcedure, type TRPCSubscriptionProcedure, tracked } from '@trpc/server'
import { z } from 'zod'
import { getPlatform } from '../platform'
import type { ApiContext } from './context'
import type { Call, Endpoint, StreamEndpoint, ValueEndpoint } from './endpoint'
import { type ProcedureMeta, procedureFor, publicProcedure } from './trpc'

/** Endpoints by name; a group shares a prefix in the names of the procedures. */
export interface EndpointTree {
  [name: string]: Endpoint | Record<string, Endpoint>
}

/** Position at which a subscription continues; the browser sends it automatically when it reconnects. */
const resumed = { lastEventId: z.string().max(200).nullish() }
type Resumed = { lastEventId?: string | null | undefined }

// biome-ignore lint/suspicious/noConfusingVoidType: tRPC lets an input of this type be left out, where undefined would have to be passed
type Nothing = void
type InputOf<I> = I extends z.ZodObject ? z.input<I> : Nothing
type OutputOf<O> = O extends z.ZodType ? z.output<O> : Nothing
/** A separate type per endpoint, so that "go to definition" in the dashboard leads to the definition. */
export type ProcedureOf<E> =
  E extends ValueEndpoint<infer _A, infer M, infer _P, infer I, infer O>
    ? M extends 'GET'
      ? TRPCQueryProcedure<{ input: InputOf<I>; output: OutputOf<O>; meta: ProcedureMeta }>
      : TRPCMutationProcedure<{ input: InputOf<I>; output: OutputOf<O>; meta: ProcedureMeta }>
    : E extends StreamEndpoint<infer _A, infer _P, infer I, infer T, infer R>
      ? TRPCSubscriptionProcedure<{
          input: R extends true ? InputOf<I> & Resumed : InputOf<I>
          output: AsyncIterable<R extends true ? { id: string; data: T } : T, void>
          meta: ProcedureMeta
        }>
      : never
type RestOnly = { kind: 'file' | 'upload' }
type ProceduresOf<T> = {
  [K in keyof T as T[K] extends RestOnly ? never : K]: T[K] extends { kind: string } ? ProcedureOf<T[K]> : ProceduresOf<T[K]>
}

/** The procedures of all endpoints that answer with values. */
export function proceduresOf<T extends EndpointTree>(tree: T): ProceduresOf<T> {
  const procedures = Object.entries(tree).map(([name, node]) => [name, isEndpoint(node) ? procedureOf(node) : proceduresOf(node)] as const)
  // The type follows from the same tree.
  return Object.fromEntries(procedures.filter(([, procedure]) => procedure !== null)) as ProceduresOf<T>
}

export const isEndpoint = (node: Endpoint | Record<string, Endpoint>): node is Endpoint => typeof node.kind === 'string'

type ProcedureContext = ApiContext & { signal?: AbortSignal }

function callOf(ctx: ProcedureContext, input: unknown, signal: AbortSignal | undefined): Call<'me.read', never> {
  const { actor, address } = ctx
  // Null only for public endpoints, whose type declares it.
  return { platform: getPlatform(), actor: actor as never, address, input: (input ?? {}) as never, signal: signal ?? new AbortController().signal }
}

function procedureOf(endpoint: Endpoint) {
  const base = endpoint.action === 'public' ? publicProcedure : procedureFor(endpoint.action)
  const input: z.ZodObject | undefined = endpoint.input
  if (endpoint.kind === 'value') {
    const typed = (input ? base.input(input) : base).output(endpoint.output ?? z.void())
    const { run } = endpoint
    if (endpoint.method === 'GET') return typed.query(({ ctx, input, signal }) => run(callOf(ctx, input, signal)))
    return typed.mutation(({ ctx, input, signal }) => run(callOf(ctx, input, signal)))
  }
  if (endpoint.kind !== 'stream') return null
  const { run } = endpoint
  if (!endpoint.resumable)
    return base.input(input ?? z.void()).subscription(async function* ({ ctx, input, signal }) {
      yield* run(callOf(ctx, input, endOf(ctx) ?? signal))
    })
  return base.input((input ?? z.object({})).extend(resumed)).subscription(async function* ({ ctx, input, signal }) {
    const { lastEventId, ...rest } = input as Resumed & { after?: string }
    const call = callOf(ctx, { ...rest, after: lastEventId ?? rest.after }, endOf(ctx) ?? signal)
    for await (const item of run(call) as AsyncIterable<{ id: string }>) yield tracked(item.id, item)
  })
}

/** Set by `procedureFor`: also aborted when the access has ended. */
const endOf = (ctx: ProcedureContext): AbortSignal | undefined => ctx.signal
