'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { useTRPC } from '@/app/lib/trpc'

/** Refetches environments after a write, without waiting for the change event of the server. */
export function useEnvironmentsChanged(): () => Promise<void> {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  return () => queryClient.invalidateQueries({ queryKey: trpc.environments.pathKey() })
}

/** Changes an environment. Its callers ask for the permission first. */
export function useEnvironmentUpdate(done: string, onDone?: () => void) {
  const trpc = useTRPC()
  const changed = useEnvironmentsChanged()
  return useMutation(
    trpc.environments.update.mutationOptions({
      onSuccess: async () => {
        toast.success(done)
        onDone?.()
        await changed()
      },
      ...(onDone ? {} : { onError: notifyFailure }),
    }),
  )
}
