import { initTRPC } from '@trpc/server'
import superjson from 'superjson'
import { type Action, authorize } from '../teams/policy'
import { watchAccess, whileAllowed } from './access'
import type { ApiContext } from './context'
import { toHttpError, toTrpcError, trpcCode } from './http-error'
import { refuseImpossibleText } from './impossible-text'
import { signInRequired } from './session'

/** `public`: no sign-in. Otherwise the required action. Read by the authorization matrix test. */
export interface ProcedureMeta {
  access: 'public' | Action
}

const t = initTRPC
  .context<ApiContext>()
  .meta<ProcedureMeta>()
  .create({
    transformer: superjson,
    // Proxies close silent connections after a minute; a missing ping shows a browser that the server is gone.
    sse: { ping: { enabled: true, intervalMs: 10_000 }, client: { reconnectAfterInactivityMs: 30_000 } },
    errorFormatter({ shape, error, ctx }) {
      const { status, wire } = toHttpError(error, ctx?.requestId ?? '-')
      return { ...shape, message: wire.message, data: { code: trpcCode(status), httpStatus: status, path: shape.data.path, appError: wire } }
    },
  })

export const router = t.router
export const createCallerFactory = t.createCallerFactory

const mapped = t.procedure
  .use(async ({ next, ctx }) => {
    const result = await next()
    if (!result.ok) throw toTrpcError(result.error, ctx.requestId)
    return result
  })
  .use(async ({ next, getRawInput }) => {
    refuseImpossibleText(await getRawInput(), 'input')
    return next()
  })

/** A procedure without sign-in. */
export const publicProcedure = mapped.meta({ access: 'public' })

const never = new AbortController().signal

/**
 * A procedure for a signed-in actor whose role allows `action`; sets `ctx.actor`. A subscription ends with an error when the permission is lost;
 * `ctx.signal` is aborted at its end.
 */
export function procedureFor(action: Action) {
  return mapped.meta({ access: action }).use(async ({ ctx, next, type, signal = never }) => {
    const { actor } = ctx
    if (!actor) throw signInRequired()
    authorize(actor, action)
    if (type !== 'subscription') return next({ ctx: { ...ctx, actor, signal } })
    const access = watchAccess(ctx.headers, actor, action)
    const result = await next({ ctx: { ...ctx, actor, signal: AbortSignal.any([signal, access.signal]) } })
    if (!result.ok) {
      access.close()
      return result
    }
    signal.addEventListener('abort', () => access.close(), { once: true })
    return { ...result, data: whileAllowed(result.data as AsyncIterable<unknown>, access) }
  })
}
