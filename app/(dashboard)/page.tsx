import type { Metadata } from 'next'
import { HydrateClient, prefetch, trpc } from '@/app/lib/trpc-server'
import { Projects } from './projects'

export const metadata: Metadata = { title: 'Projects' }

export default async function ProjectsPage() {
  await prefetch(trpc.projects.list.queryOptions(), trpc.deployments.list.queryOptions({ limit: 8 }))
  return (
    <HydrateClient>
      <Projects />
    </HydrateClient>
  )
}
