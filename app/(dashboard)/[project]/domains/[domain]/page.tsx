import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { HydrateClient, loadDomain, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Domain } from './domain'

interface PageProps {
  params: Promise<{ project: string; domain: string }>
}

/** Next.js passes path segments percent-encoded. */
const nameOf = async (params: PageProps['params']): Promise<string> => decodeURIComponent((await params).domain)

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const domain = await loadDomain(await nameOf(params))
  return { title: domain ? domain.displayName : 'Not found' }
}

export default async function DomainPage({ params }: PageProps) {
  const [project, domain] = await Promise.all([loadProject((await params).project), loadDomain(await nameOf(params))])
  // Without this check, the domain would appear below the heading of another project.
  if (!project || !domain || domain.projectId !== project.id) notFound()
  await prefetch(trpc.domains.list.queryOptions({ project: project.id, limit: 100 }))
  return (
    <HydrateClient>
      <Domain name={domain.hostname} />
    </HydrateClient>
  )
}
