import type { Metadata } from 'next'
import { filterOf, searchOf } from '@/app/lib/deployment-filter'
import { pageSize } from '@/app/lib/pages'
import { HydrateClient, loadProject, prefetchPages, trpc } from '@/app/lib/trpc-server'
import { ProjectDeployments } from './project-deployments'

export const metadata: Metadata = { title: 'Deployments' }

interface PageProps {
  params: Promise<{ project: string }>
  searchParams: Promise<Record<string, string | string[] | undefined>>
}

export default async function ProjectDeploymentsPage({ params, searchParams }: PageProps) {
  const project = await loadProject((await params).project)
  if (!project) return null
  const filter = filterOf(searchOf(await searchParams))
  await prefetchPages(
    trpc.deployments.list.infiniteQueryOptions(
      { projectId: project.id, limit: pageSize, ...filter },
      { getNextPageParam: (page) => page.nextCursor },
    ),
  )
  return (
    <HydrateClient>
      <ProjectDeployments />
    </HydrateClient>
  )
}
