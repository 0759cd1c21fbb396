'use client'
import { useMutation } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { notifyFailure } from '@/app/components/notify'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { DeploymentSummary } from '@/shared/views'

/** `noCache`: build without caches of earlier builds. `environment`: by name; default: production. */
type How = { noCache?: boolean; environment?: string }

/**
 * Starts a deployment and opens its page. `deploy` builds the newest commit of the project's branch; `redeploy` builds the commit or
 * upload of the given deployment again, with the current variables and settings.
 */
export function useDeploy() {
  const trpc = useTRPC()
  const router = useRouter()
  const create = useMutation(
    trpc.deployments.create.mutationOptions({
      onSuccess: (deployment) => router.push(paths.deployment(deployment.projectSlug, deployment.id)),
      onError: notifyFailure,
    }),
  )
  return {
    pending: create.isPending || create.isSuccess,
    deploy: (projectId: string, how: How = {}) => create.mutate({ projectId, triggeredBy: 'user', ...how }),
    redeploy: ({ projectId, id }: Pick<DeploymentSummary, 'projectId' | 'id'>, how: How = {}) =>
      create.mutate({ projectId, triggeredBy: 'user', repeat: id, ...how }),
  }
}
