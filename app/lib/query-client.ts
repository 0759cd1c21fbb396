import { defaultShouldDehydrateQuery, MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import superjson from 'superjson'
import { isWorthRetrying, wireErrorOf } from './errors'
import { paths } from './paths'

function leaveWhenSignedOut(error: unknown): void {
  if (typeof window === 'undefined' || wireErrorOf(error).code !== 'ERR_UNAUTHENTICATED') return
  const here = window.location.pathname + window.location.search
  if (!here.startsWith(paths.login)) window.location.assign(paths.loginTo(here))
}

/** Freshness comes from the `changes` subscription, which invalidates; data is not refetched by age alone. */
export const makeQueryClient = (): QueryClient =>
  new QueryClient({
    queryCache: new QueryCache({ onError: leaveWhenSignedOut }),
    mutationCache: new MutationCache({ onError: leaveWhenSignedOut }),
    defaultOptions: {
      queries: { staleTime: 30_000, retry: (count, error) => count < 3 && isWorthRetrying(error) },
      dehydrate: { serializeData: superjson.serialize, shouldDehydrateQuery: (query) => defaultShouldDehydrateQuery(query) },
      hydrate: { deserializeData: superjson.deserialize },
    },
  })
