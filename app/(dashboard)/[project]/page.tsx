import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Overview } from './overview'

export default async function ProjectPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.deployments.list.queryOptions({ projectId: project.id, limit: 6 }), trpc.instances.list.queryOptions({ project: project.id }))
  return (
    <HydrateClient>
      <Overview />
    </HydrateClient>
  )
}
