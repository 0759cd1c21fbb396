'use client'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { wireErrorOf } from '@/app/lib/errors'
import { formatBytes } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'

/** Clears the build cache after a confirmation. */
export function BuildCache({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const [open, setOpen] = useState(false)
  const clear = useMutation(
    trpc.projects.clearBuildCache.mutationOptions({
      onSuccess: ({ freedBytes }) => {
        setOpen(false)
        toast.success(`The build cache is cleared: ${formatBytes(freedBytes)} freed`)
      },
    }),
  )
  return (
    <Card>
      <CardHeader
        title="Build cache"
        description="Installed packages, caches of package managers and frameworks, and the copy of the repository, kept between builds of this project."
      />
      <CardFooter className="justify-end">
        <ActionButton action="build-cache.clear" onClick={() => setOpen(true)}>
          Clear build cache
        </ActionButton>
      </CardFooter>
      <ConfirmDialog
        open={open}
        onOpenChange={setOpen}
        title={`Clear the build cache of ${project.name}?`}
        description="The next build starts without a cache and takes longer. The live deployment is not affected."
        confirmLabel="Clear cache"
        pending={clear.isPending}
        error={clear.error ? wireErrorOf(clear.error) : null}
        onConfirm={() => clear.mutate({ project: project.id })}
      />
    </Card>
  )
}
