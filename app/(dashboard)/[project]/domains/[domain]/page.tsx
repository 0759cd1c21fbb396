import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { HydrateClient, loadDomain, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Domain } from './domain'

interface PageProps {
  params: Promise<{ project: string; domain: string }>
}

/** A segment of an address arrives encoded. */
const nameOf = async (params: PageProps['params']): Promise<string> => decodeURIComponent((await params).domain)

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const domain = await loadDomain(await nameOf(params))
  return { title: domain ? domain.displayName : 'Not found' }
}

export default async function DomainPage({ params }: PageProps) {
  const [project, domain] = await Promise.all([loadProject((await params).project), loadDomain(await nameOf(params))])
  // An address that names another project would show a true page under a false heading.
  if (!project || !domain || domain.projectId !== project.id) notFound()
  await prefetch(trpc.domains.list.queryOptions({ project: project.id, limit: 100 }))
  return (
    <HydrateClient>
      <Domain name={domain.hostname} />
    </HydrateClient>
  )
}
