'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef } from 'react'
import { toast } from 'sonner'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { WireError } from '@/shared/errors'
import type { RulesPatch } from '@/shared/rules-settings'
import { useProject } from '../use-project'

/** The rules of this project. */
export function useRules() {
  const trpc = useTRPC()
  const project = useProject()
  return useQuery(trpc.rules.get.queryOptions({ project: project.id }))
}

interface Saving {
  save(patch: RulesPatch): void
  pending: boolean
  error: WireError | null
}

/**
 * Saves a card of the page. `onSaved` receives new tokens, which are never shown again. While `dirty`, the card keeps the values it had when
 * editing began, and warns about a concurrent change before overwriting it.
 */
export function useSaveRules(title: string, dirty: boolean, onSaved: (newTokens: string[]) => void): Saving {
  const trpc = useTRPC()
  const project = useProject()
  const queryClient = useQueryClient()
  const queryKey = trpc.rules.get.queryKey({ project: project.id })
  const { data } = useRules()
  const based = useRef(data?.versions)
  if (!dirty) based.current = data?.versions
  const update = useMutation(
    trpc.rules.update.mutationOptions({
      onSuccess: ({ newTokens, ...view }) => {
        queryClient.setQueryData(queryKey, view)
        toast.success(`${title} saved: visitors get it now`)
        onSaved(newTokens)
      },
      onError: async (error) => {
        if (wireErrorOf(error).code !== 'ERR_CONFLICT') return
        await queryClient.invalidateQueries({ queryKey })
        // The conflict was shown: saving again overwrites the other change.
        based.current = queryClient.getQueryData(queryKey)?.versions
      },
    }),
  )
  return {
    save(patch) {
      const fields = [...Object.keys(patch).filter((field) => field !== 'reset'), ...(patch.reset ?? [])]
      update.mutate({
        project: project.id,
        ...patch,
        versions: Object.fromEntries(fields.map((field) => [field, based.current?.[field] ?? ''])),
      })
    },
    pending: update.isPending,
    error: update.error && dirty ? wireErrorOf(update.error) : null,
  }
}
