'use client'
import { useQueryClient } from '@tanstack/react-query'
import { useTRPC } from '@/app/lib/trpc'

/** Whose variables are shown: `environment` by name; undefined: production. */
export interface VariablesOf {
  project: string
  environment?: string | undefined
}

/** Refetches the list after a write, without waiting for the change event of the server. */
export function useVariablesChanged(of: VariablesOf, onChanged: () => void): () => Promise<void> {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  return async () => {
    onChanged()
    await queryClient.invalidateQueries({ queryKey: trpc.variables.list.queryKey(of) })
  }
}
