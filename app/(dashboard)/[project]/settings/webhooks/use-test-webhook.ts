'use client'
import { useMutation } from '@tanstack/react-query'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { useTRPC } from '@/app/lib/trpc'
import { useWebhooksChanged } from './use-webhooks-changed'

/** Sends a test message and says what came of it. */
export function useTestWebhook() {
  const trpc = useTRPC()
  const changed = useWebhooksChanged()
  return useMutation(
    trpc.webhooks.test.mutationOptions({
      onSuccess: async ({ state, lastAttempt }) => {
        if (state === 'delivered') toast.success(`The test message was accepted with status ${lastAttempt?.status}`)
        else toast.error('The test message was not accepted', { description: lastAttempt?.error ?? undefined, duration: 10_000 })
        await changed()
      },
      onError: notifyFailure,
    }),
  )
}
