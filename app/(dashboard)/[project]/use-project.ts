'use client'
import { useSuspenseQuery } from '@tanstack/react-query'
import { useParams } from 'next/navigation'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'

/** The project of this address. The layout has loaded it before anything below is drawn. */
export function useProject(): ProjectView {
  const trpc = useTRPC()
  const { project } = useParams<{ project: string }>()
  return useSuspenseQuery(trpc.projects.get.queryOptions({ project })).data
}
