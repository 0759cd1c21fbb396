'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { useRef } from 'react'
import type { VariableDraft } from '@/app/components/variable-rows-editor'
import { paths } from '@/app/lib/paths'
import { useTRPC, useTRPCClient } from '@/app/lib/trpc'
import type { ProjectInput, ProjectView } from '@/shared/views'

/**
 * Creates the project, stores its variables, starts the first deployment, opens its page. After a failure, a retry
 * continues with the created project instead of creating a second project.
 */
export function useCreateAndDeploy() {
  const trpc = useTRPC()
  const client = useTRPCClient()
  const queryClient = useQueryClient()
  const router = useRouter()
  const created = useRef<ProjectView | null>(null)
  return useMutation({
    mutationFn: async ({ input, variables }: { input: ProjectInput; variables: VariableDraft[] }) => {
      const project = created.current
        ? await client.projects.update.mutate({ project: created.current.id, ...input })
        : await client.projects.create.mutate(input)
      created.current = project
      for (const { key, value } of variables) await client.variables.set.mutate({ project: project.id, key: key.trim(), value, scope: 'both' })
      return client.deployments.create.mutate({ projectId: project.id, triggeredBy: 'user' })
    },
    onSuccess: async (deployment) => {
      await queryClient.invalidateQueries({ queryKey: trpc.projects.list.queryKey() })
      router.push(paths.deployment(deployment.projectSlug, deployment.id))
    },
  })
}
