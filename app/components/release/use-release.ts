'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { DeploymentSummary } from '@/shared/views'

/** Releases of an artifact that exists: none of them builds. */
export type ReleaseKind = 'rollback' | 'promote' | 'restart' | 'redeploy'

/** Starts a release and opens its page. */
export function useRelease(deployment: DeploymentSummary) {
  const trpc = useTRPC()
  const router = useRouter()
  const queryClient = useQueryClient()
  const options = {
    onSuccess: ({ deploymentId }: { deploymentId: string }) => {
      // A rollback pauses automatic deploys of the environment.
      void queryClient.invalidateQueries({ queryKey: trpc.environments.pathKey() })
      router.push(paths.deployment(deployment.projectSlug, deploymentId))
    },
  }
  const rollBack = useMutation(trpc.deployments.rollBack.mutationOptions(options))
  const promote = useMutation(trpc.deployments.promote.mutationOptions(options))
  const restart = useMutation(trpc.deployments.restart.mutationOptions(options))
  const redeploy = useMutation(trpc.deployments.redeploy.mutationOptions(options))
  const all = [rollBack, promote, restart, redeploy]
  const error = all.find((one) => one.error)?.error
  const { id: deploymentId, projectId } = deployment
  return {
    pending: all.some((one) => one.isPending || one.isSuccess),
    error: error ? wireErrorOf(error) : null,
    /** `environment`: where it goes live. */
    start: (kind: ReleaseKind, environment: string) => {
      if (kind === 'rollback') rollBack.mutate({ deploymentId })
      if (kind === 'promote') promote.mutate({ deploymentId, environment })
      if (kind === 'restart') restart.mutate({ project: projectId, environment })
      if (kind === 'redeploy') redeploy.mutate({ deploymentId })
    },
  }
}

/** Keeps the artifact of a deployment, or lets it be removed again. */
export function usePin(deployment: DeploymentSummary) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const pin = useMutation(
    trpc.deployments.pin.mutationOptions({
      onSuccess: async ({ pinned }) => {
        toast.success(pinned ? 'Pinned: its artifact is kept' : 'Unpinned')
        await queryClient.invalidateQueries({ queryKey: trpc.deployments.pathKey() })
      },
      onError: notifyFailure,
    }),
  )
  return () => pin.mutate({ deploymentId: deployment.id, pinned: !deployment.pinned })
}
