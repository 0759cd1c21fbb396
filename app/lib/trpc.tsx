'use client'
import { isServer, type QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createTRPCClient, httpBatchStreamLink, httpSubscriptionLink, splitLink } from '@trpc/client'
import { createTRPCContext } from '@trpc/tanstack-react-query'
import { type ReactNode, useState } from 'react'
import superjson from 'superjson'
import type { AppRouter } from '@/server/api/router'
import { makeQueryClient } from './query-client'

export const { TRPCProvider, useTRPC, useTRPCClient } = createTRPCContext<AppRouter>()

let browserClient: QueryClient | undefined
/** A single query cache per browser tab; on the server a cache per request, so that people never share data. */
function getQueryClient(): QueryClient {
  if (isServer) return makeQueryClient()
  browserClient ??= makeQueryClient()
  return browserClient
}

// On the server the data comes from prefetched queries (trpc-server.tsx): these links only ever run in the browser.
const url = '/api/trpc'

/** Query cache and tRPC client of the dashboard. */
export function DataProvider({ children }: { children: ReactNode }) {
  const queryClient = getQueryClient()
  const [client] = useState(() =>
    createTRPCClient<AppRouter>({
      links: [
        splitLink({
          condition: (operation) => operation.type === 'subscription',
          true: httpSubscriptionLink({ url, transformer: superjson }),
          // No more than the server takes at once (server/api/trpc-handler.ts).
          false: httpBatchStreamLink({ url, transformer: superjson, maxItems: 20 }),
        }),
      ],
    }),
  )
  return (
    <QueryClientProvider client={queryClient}>
      <TRPCProvider trpcClient={client} queryClient={queryClient}>
        {children}
      </TRPCProvider>
    </QueryClientProvider>
  )
}
