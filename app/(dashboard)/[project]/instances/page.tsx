import type { Metadata } from 'next'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Instances } from './instances'

export const metadata: Metadata = { title: 'Instances' }

export default async function InstancesPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.instances.list.queryOptions({ project: project.id }))
  return (
    <HydrateClient>
      <Instances />
    </HydrateClient>
  )
}
