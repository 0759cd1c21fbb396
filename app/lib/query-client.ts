import { defaultShouldDehydrateQuery, MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import superjson from 'superjson'
import { isWorthRetrying, wireErrorOf } from './errors'
import { paths } from './paths'

function leaveWhenSignedOut(error: unknown): void {
  if (typeof window === 'undefined' || wireErrorOf(error).code !== 'ERR_UNAUTHENTICATED') return
  const here = window.location.pathname + window.location.search
  if (!here.startsWith(paths.login)) window.location.assign(paths.loginTo(here))
}

/** The `changes` subscription invalidates queries; data is never refetched because of its age. */
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
