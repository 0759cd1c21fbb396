import type { Metadata } from 'next'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Traffic } from './traffic'

export const metadata: Metadata = { title: 'Traffic' }

export default async function TrafficPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  const { id: projectId } = project
  await prefetch(
    trpc.traffic.series.queryOptions({ project: projectId, range: '1h' }),
    trpc.traffic.targetEvents.queryOptions({ project: projectId }),
  )
  return (
    <HydrateClient>
      <Traffic />
    </HydrateClient>
  )
}
