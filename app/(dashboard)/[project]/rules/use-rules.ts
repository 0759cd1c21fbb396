'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { toast } from 'sonner'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { EdgePolicyPatch } from '@/shared/edge-settings'
import type { WireError } from '@/shared/errors'
import { useProject } from '../use-project'

/** The rules of this project. */
export function useRules() {
  const trpc = useTRPC()
  const project = useProject()
  return useQuery(trpc.edgePolicy.get.queryOptions({ project: project.id }))
}

interface Saving {
  save(patch: EdgePolicyPatch): void
  pending: boolean
  error: WireError | null
}

/** Saves one card of the page. `onSaved` is given tokens that were made, which are never shown again. */
export function useSaveRules(title: string, onSaved: (newTokens: string[]) => void): Saving {
  const trpc = useTRPC()
  const project = useProject()
  const queryClient = useQueryClient()
  const update = useMutation(
    trpc.edgePolicy.update.mutationOptions({
      onSuccess: ({ newTokens, ...view }) => {
        queryClient.setQueryData(trpc.edgePolicy.get.queryKey({ project: project.id }), view)
        toast.success(`${title} saved: visitors get it now`)
        onSaved(newTokens)
      },
    }),
  )
  return {
    save: (patch) => update.mutate({ project: project.id, patch }),
    pending: update.isPending,
    error: update.error ? wireErrorOf(update.error) : null,
  }
}
