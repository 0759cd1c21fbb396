import 'server-only'
import { dehydrate, type FetchInfiniteQueryOptions, type FetchQueryOptions, HydrationBoundary, type QueryKey } from '@tanstack/react-query'
import { TRPCError } from '@trpc/server'
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query'
import { headers } from 'next/headers'
import { connection } from 'next/server'
import { cache, type ReactNode } from 'react'
import { createContext } from '@/server/api/context'
import { appRouter, createCaller } from '@/server/api/router'
import type { CertificateDetail } from '@/shared/certificates'
import type { DomainView } from '@/shared/domains'
import type { DeploymentView, ProjectView } from '@/shared/views'
import { makeQueryClient } from './query-client'

// React's `cache` runs once per request, so that layouts, pages and metadata share the context and its results.
const getContext = cache(async () => createContext({ headers: await headers() }))
const getQueryClient = cache(makeQueryClient)

/** Query options for pages that render on the server; they call the procedures in this process. */
export const trpc = createTRPCOptionsProxy({ ctx: getContext, router: appRouter, queryClient: getQueryClient })

/** Passes prefetched queries to the client components below. */
export function HydrateClient({ children }: { children: ReactNode }) {
  return <HydrationBoundary state={dehydrate(getQueryClient())}>{children}</HydrationBoundary>
}

/** Prefetches a query, so that the page arrives complete. Errors are ignored: the browser retries and shows them. */
export async function prefetch(...queries: { queryKey: QueryKey }[]): Promise<void> {
  // Query types differ and do not matter for prefetching.
  await Promise.all(queries.map((query) => getQueryClient().prefetchQuery(query as FetchQueryOptions)))
}

/** Prefetches the first page of a paginated list. */
export async function prefetchPages(query: { queryKey: QueryKey }): Promise<void> {
  await getQueryClient().prefetchInfiniteQuery({ initialPageParam: null, ...query } as FetchInfiniteQueryOptions)
}

/** True when the request carries a valid session. */
export const isSignedIn = cache(async (): Promise<boolean> => (await getContext()).actor !== null)

/** True until the first account exists. */
export const isSetupNeeded = cache(async (): Promise<boolean> => {
  // `connection()` defers the call to a request: `next build` runs without a control plane.
  await connection()
  // Call without a session, so that an invalid session does not block the set-up page.
  const caller = createCaller({ actor: null, address: 'page', headers: new Headers(), requestId: 'page' })
  return (await caller.setup.status()).needed
})

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof TRPCError && error.code === 'NOT_FOUND') return null
    throw error
  }
}

/** The project by id or slug; null: not found or no access. */
export const loadProject = cache(
  (project: string): Promise<ProjectView | null> => orNull(getQueryClient().fetchQuery(trpc.projects.get.queryOptions({ project }))),
)

/** The domain by id or hostname; null: not found or no access. */
export const loadDomain = cache(
  (domain: string): Promise<DomainView | null> => orNull(getQueryClient().fetchQuery(trpc.domains.get.queryOptions({ domain }))),
)

/** The deployment; null: not found or no access. */
export const loadDeployment = cache(
  (deploymentId: string): Promise<DeploymentView | null> => orNull(getQueryClient().fetchQuery(trpc.deployments.get.queryOptions({ deploymentId }))),
)

/** The certificate; null: not found or no access. */
export const loadCertificate = cache(
  (certificateId: string): Promise<CertificateDetail | null> =>
    orNull(getQueryClient().fetchQuery(trpc.certificates.get.queryOptions({ certificateId }))),
)
