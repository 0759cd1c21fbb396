import type { Metadata } from 'next'
import { searchOf } from '@/app/lib/deployment-filter'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Variables } from './variables'

export const metadata: Metadata = { title: 'Variables' }

interface PageProps {
  params: Promise<{ project: string }>
  searchParams: Promise<Record<string, string | string[] | undefined>>
}

export default async function VariablesPage({ params, searchParams }: PageProps) {
  const project = await loadProject((await params).project)
  if (!project) return null
  const environment = searchOf(await searchParams).get('environment') || undefined
  await prefetch(trpc.variables.list.queryOptions({ project: project.id, environment }))
  return (
    <HydrateClient>
      <Variables />
    </HydrateClient>
  )
}
