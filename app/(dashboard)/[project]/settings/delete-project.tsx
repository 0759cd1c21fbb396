'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'

/** Deletes the project after its name was typed. */
export function DeleteProject({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const router = useRouter()
  const [open, setOpen] = useState(false)
  const remove = useMutation(
    trpc.projects.remove.mutationOptions({
      onSuccess: async () => {
        router.push(paths.home)
        toast.success(`${project.name} was deleted`)
        await queryClient.invalidateQueries({ queryKey: trpc.projects.list.queryKey() })
      },
    }),
  )
  return (
    <Card className="border-bad/40">
      <CardHeader
        title="Delete this project"
        description="Stops the app and removes its deployments, logs, variables and artifacts. This cannot be undone."
      />
      <CardFooter className="justify-end">
        <ActionButton action="project.remove" variant="danger" onClick={() => setOpen(true)}>
          Delete project
        </ActionButton>
      </CardFooter>
      <ConfirmDialog
        open={open}
        onOpenChange={setOpen}
        title={`Delete ${project.name}?`}
        description="Visitors will get an error page."
        confirmLabel="Delete project"
        typeToConfirm={project.name}
        pending={remove.isPending || remove.isSuccess}
        error={remove.error ? wireErrorOf(remove.error) : null}
        onConfirm={() => remove.mutate({ project: project.id, confirm: project.name })}
      />
    </Card>
  )
}
