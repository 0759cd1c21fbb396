import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import type { ReactNode } from 'react'
import { HydrateClient, loadProject, prefetch, trpc } from '@/app/lib/trpc-server'
import { EnvironmentNotices } from './environment-notices'

interface LayoutProps {
  children: ReactNode
  params: Promise<{ project: string }>
}

export async function generateMetadata({ params }: LayoutProps): Promise<Metadata> {
  const project = await loadProject((await params).project)
  return { title: project ? { default: project.name, template: `%s · ${project.name} · Switchyard` } : 'Not found' }
}

export default async function ProjectLayout({ children, params }: LayoutProps) {
  const project = await loadProject((await params).project)
  if (!project) notFound()
  await prefetch(trpc.environments.list.queryOptions({ project: project.id }))
  return (
    <HydrateClient>
      <EnvironmentNotices />
      {children}
    </HydrateClient>
  )
}
