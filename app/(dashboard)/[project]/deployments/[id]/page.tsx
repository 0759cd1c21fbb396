import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { deploymentTitle } from '@/app/lib/format'
import { HydrateClient, loadDeployment } from '@/app/lib/trpc-server'
import { Deployment } from './deployment'

interface PageProps {
  params: Promise<{ project: string; id: string }>
}

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const deployment = await loadDeployment((await params).id)
  return { title: deployment ? deploymentTitle(deployment) : 'Not found' }
}

export default async function DeploymentPage({ params }: PageProps) {
  const { project, id } = await params
  const deployment = await loadDeployment(id)
  // Without this check, the deployment would appear below the heading of another project.
  if (!deployment || (deployment.projectSlug !== project && deployment.projectId !== project)) notFound()
  return (
    <HydrateClient>
      <Deployment id={id} />
    </HydrateClient>
  )
}
