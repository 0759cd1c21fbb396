'use client'
import { useQuery } from '@tanstack/react-query'
import { environmentName } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import type { EnvironmentView } from '@/shared/environments'
import { useProject } from './use-project'

/** Open environments of the project: production first, then custom ones, then previews. */
export function useEnvironments() {
  const trpc = useTRPC()
  const project = useProject()
  return useQuery(trpc.environments.list.queryOptions({ project: project.id }))
}

/** "Production", "staging", "All previews". */
export const environmentLabel = ({ kind, template, name }: Pick<EnvironmentView, 'kind' | 'template' | 'name'>): string => {
  if (template) return 'All previews'
  return kind === 'production' ? environmentName('production') : name
}
