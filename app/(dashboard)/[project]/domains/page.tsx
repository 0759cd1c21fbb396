import type { Metadata } from 'next'
import { pageSize } from '@/app/lib/pages'
import { HydrateClient, loadProject, prefetchPages, trpc } from '@/app/lib/trpc-server'
import { Domains } from './domains'

export const metadata: Metadata = { title: 'Domains' }

export default async function DomainsPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetchPages(
    trpc.domains.list.infiniteQueryOptions({ project: project.id, limit: pageSize }, { getNextPageParam: (page) => page.nextCursor }),
  )
  return (
    <HydrateClient>
      <Domains />
    </HydrateClient>
  )
}
