import type { Metadata } from 'next'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Domains } from './domains'

export const metadata: Metadata = { title: 'Domains' }

export default async function DomainsPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.domains.list.queryOptions({ projectId: project.id }))
  return (
    <HydrateClient>
      <Domains />
    </HydrateClient>
  )
}
