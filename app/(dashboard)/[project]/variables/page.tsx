import type { Metadata } from 'next'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Variables } from './variables'

export const metadata: Metadata = { title: 'Variables' }

export default async function VariablesPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.variables.list.queryOptions({ project: project.id }))
  return (
    <HydrateClient>
      <Variables />
    </HydrateClient>
  )
}
