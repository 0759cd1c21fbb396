import type { Metadata } from 'next'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Webhooks } from './webhooks'

export const metadata: Metadata = { title: 'Webhooks' }

export default async function WebhooksPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.forges.get.queryOptions({ project: project.id }))
  return (
    <HydrateClient>
      <Webhooks />
    </HydrateClient>
  )
}
