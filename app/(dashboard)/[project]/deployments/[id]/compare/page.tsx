import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { searchOf } from '@/app/lib/deployment-filter'
import { HydrateClient, loadDeployment, prefetch, trpc } from '@/app/lib/trpc-server'
import { Compare } from './compare'

interface PageProps {
  params: Promise<{ project: string; id: string }>
  searchParams: Promise<Record<string, string | string[] | undefined>>
}

export const metadata: Metadata = { title: 'Compare' }

export default async function ComparePage({ params, searchParams }: PageProps) {
  const { project, id } = await params
  const deployment = await loadDeployment(id)
  if (!deployment || (deployment.projectSlug !== project && deployment.projectId !== project)) notFound()
  const other = searchOf(await searchParams).get('with') || undefined
  await prefetch(
    trpc.deployments.compare.queryOptions({ deploymentId: id, with: other }),
    trpc.deployments.list.queryOptions({ projectId: deployment.projectId, limit: 50 }),
  )
  return (
    <HydrateClient>
      <Compare id={id} other={other} />
    </HydrateClient>
  )
}
