'use client'
import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { useTRPC, useTRPCClient } from '@/app/lib/trpc'
import { useResumedSubscription } from '@/app/lib/use-subscription'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentView } from '@/shared/views'

/** Returns a deployment and keeps it up to date while it runs. */
export function useDeployment(id: string): DeploymentView {
  const trpc = useTRPC()
  const client = useTRPCClient()
  const queryClient = useQueryClient()
  const { data } = useSuspenseQuery(trpc.deployments.get.queryOptions({ deploymentId: id }))
  const running = deploymentTraits[data.status].running
  useResumedSubscription(running ? `watch:${id}` : null, (handlers) =>
    client.deployments.watch.subscribe(
      { deploymentId: id },
      {
        ...handlers,
        onData: (view) => {
          handlers.onData()
          queryClient.setQueryData(trpc.deployments.get.queryKey({ deploymentId: id }), view)
        },
      },
    ),
  )
  return data
}
