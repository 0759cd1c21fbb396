import type { Metadata } from 'next'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { Rules } from './rules'

export const metadata: Metadata = { title: 'Rules' }

export default async function RulesPage({ params }: { params: Promise<{ project: string }> }) {
  const project = await loadProject((await params).project)
  if (!project) return null
  await prefetch(trpc.rules.get.queryOptions({ project: project.id }))
  return (
    <HydrateClient>
      <Rules />
    </HydrateClient>
  )
}
