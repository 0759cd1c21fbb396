import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { withBoundedBody } from './body'
import { type ApiContext, createContext } from './context'
import { errorResponse, newRequestId, reportUnexpected } from './http-error'
import { countCaller, countRefusal } from './request-limit'
import { appRouter } from './router'

/**
 * Maximum calls in a batch, which counts as one request: larger batches would bypass the rate limits. The dashboard splits larger batches
 * (app/lib/trpc.tsx).
 */
export const maxBatchSize = 25

/** Maximum bytes of a batch: variables and certificates are the largest inputs. */
export const maxBodyBytes = 4 * 1024 * 1024

/** Serves one tRPC request: queries, mutations, and subscriptions as server-sent events. */
export async function handleTrpc(given: Request): Promise<Response> {
  try {
    return await answer(await withBoundedBody(given, maxBodyBytes))
  } catch (error) {
    const requestId = newRequestId()
    reportUnexpected(error, requestId, 'trpc')
    return errorResponse(error, requestId)
  }
}

async function answer(request: Request): Promise<Response> {
  const extra = new Headers()
  const response = await fetchRequestHandler({
    endpoint: '/api/trpc',
    req: request,
    router: appRouter,
    maxBatchSize,
    createContext: () => countedContext(request, extra),
    onError: ({ error, ctx, path }) => reportUnexpected(error, ctx?.requestId ?? newRequestId(), `trpc ${path ?? ''}`),
    // Proxies must not buffer event streams.
    responseMeta: () => ({ headers: new Headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' }) }),
  })
  for (const [name, value] of extra) response.headers.set(name, value)
  return response
}

/** Pages rendered on the server create contexts too, but only external requests are counted. */
async function countedContext(request: Request, extra: Headers): Promise<ApiContext> {
  try {
    const context = await createContext(request)
    if (context.actor) countCaller(context.actor, extra)
    return context
  } catch (error) {
    countRefusal(error, request.headers, extra)
    throw error
  }
}
