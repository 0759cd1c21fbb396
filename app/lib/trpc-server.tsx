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

// `cache` is React's: once a request, so that layouts, pages and their metadata share one context and one set of answers.
const getContext = cache(async () => createContext({ headers: await headers() }))
const getQueryClient = cache(makeQueryClient)

/** Query options for pages that render on the server; they call the procedures in this process. */
export const trpc = createTRPCOptionsProxy({ ctx: getContext, router: appRouter, queryClient: getQueryClient })

/** Hands what was fetched on the server to the client components below. */
export function HydrateClient({ children }: { children: ReactNode }) {
  return <HydrationBoundary state={dehydrate(getQueryClient())}>{children}</HydrationBoundary>
}

/** Fetches before the page is sent, so that it arrives complete. A failure is left to the browser, which asks again and shows why. */
export async function prefetch(...queries: { queryKey: QueryKey }[]): Promise<void> {
  // Each query's own type matters where its data is read; here they only have in common that they can be fetched.
  await Promise.all(queries.map((query) => getQueryClient().prefetchQuery(query as FetchQueryOptions)))
}

/** The same for lists that come page by page: their first page. */
export async function prefetchPages(query: { queryKey: QueryKey }): Promise<void> {
  await getQueryClient().prefetchInfiniteQuery({ initialPageParam: null, ...query } as FetchInfiniteQueryOptions)
}

/** True when the request carries a valid session. */
export const isSignedIn = cache(async (): Promise<boolean> => (await getContext()).actor !== null)

/** True until the first account exists. */
export const isSetupNeeded = cache(async (): Promise<boolean> => {
  // The answer belongs to a request: `next build` has no platform to ask.
  await connection()
  // The context of an invalid session must not keep anyone from the set-up page.
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

/** The project, by id or slug; null when there is none for this person. */
export const loadProject = cache(
  (project: string): Promise<ProjectView | null> => orNull(getQueryClient().fetchQuery(trpc.projects.get.queryOptions({ project }))),
)

/** The domain, by id or hostname; null when there is none for this person. */
export const loadDomain = cache(
  (domain: string): Promise<DomainView | null> => orNull(getQueryClient().fetchQuery(trpc.domains.get.queryOptions({ domain }))),
)

/** The deployment; null when there is none for this person. */
export const loadDeployment = cache(
  (deploymentId: string): Promise<DeploymentView | null> => orNull(getQueryClient().fetchQuery(trpc.deployments.get.queryOptions({ deploymentId }))),
)

/** The certificate; null when there is none for this person. */
export const loadCertificate = cache(
  (certificateId: string): Promise<CertificateDetail | null> =>
    orNull(getQueryClient().fetchQuery(trpc.certificates.get.queryOptions({ certificateId }))),
)
