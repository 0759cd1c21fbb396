'use client'
import { useMutation } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { notifyFailure } from '@/app/components/notify'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'

/** Starts a deployment and goes to its page. `ref` is a commit for "this one again"; without it the newest of the branch. */
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
    deploy: (projectId: string, ref?: string | null) => create.mutate({ projectId, triggeredBy: 'user', ref: ref ?? null }),
  }
}
