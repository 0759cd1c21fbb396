import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { createContext } from './context'
import { newRequestId, reportUnexpected } from './http-error'
import { appRouter } from './router'

/** Serves one tRPC request: queries, mutations, and subscriptions as server-sent events. */
export function handleTrpc(request: Request): Promise<Response> {
  return fetchRequestHandler({
    endpoint: '/api/trpc',
    req: request,
    router: appRouter,
    createContext: () => createContext(request),
    onError: ({ error, ctx, path }) => reportUnexpected(error, ctx?.requestId ?? newRequestId(), `trpc ${path ?? ''}`),
    // Proxies must not hold back what is meant to arrive line by line.
    responseMeta: () => ({ headers: new Headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' }) }),
  })
}
