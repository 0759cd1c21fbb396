'use client'
import { useQueryClient } from '@tanstack/react-query'
import { useTRPC } from '@/app/lib/trpc'

/** Refetches webhooks and deliveries after a write. */
export function useWebhooksChanged(): () => Promise<void> {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  return () => queryClient.invalidateQueries({ queryKey: trpc.webhooks.pathKey() })
}
