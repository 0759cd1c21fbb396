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
  // An address that names another project would show a true page under a false heading.
  if (!deployment || (deployment.projectSlug !== project && deployment.projectId !== project)) notFound()
  return (
    <HydrateClient>
      <Deployment id={id} />
    </HydrateClient>
  )
}
