'use client'
import { useSuspenseQuery } from '@tanstack/react-query'
import { useParams } from 'next/navigation'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'

/** The project of the current URL. The layout loads it before it renders its children. */
export function useProject(): ProjectView {
  const trpc = useTRPC()
  const { project } = useParams<{ project: string }>()
  return useSuspenseQuery(trpc.projects.get.queryOptions({ project })).data
}
