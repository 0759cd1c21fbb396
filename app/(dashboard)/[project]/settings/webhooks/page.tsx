import type { Metadata } from 'next'
import { pageSize } from '@/app/lib/pages'
import { HydrateClient, loadProject, prefetch, prefetchPages, trpc } from '@/app/lib/trpc-server'
import { Webhooks } from './webhooks'

export const metadata: Metadata = { title: 'Webhooks' }

export default async function WebhooksPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.forges.get.queryOptions({ project: project.id }))
  await prefetchPages(
    trpc.webhooks.deliveries.infiniteQueryOptions({ projectId: project.id, limit: pageSize }, { getNextPageParam: (page) => page.nextCursor }),
  )
  return (
    <HydrateClient>
      <Webhooks />
    </HydrateClient>
  )
}
