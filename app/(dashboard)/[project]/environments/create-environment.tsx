'use client'
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'
import { useEnvironmentsChanged } from '../use-environment-writes'

/** Asks for the name and the branch of a custom environment. */
export function CreateEnvironment({ project, onClose }: { project: ProjectView; onClose: () => void }) {
  const trpc = useTRPC()
  const changed = useEnvironmentsChanged()
  const [name, setName] = useState('')
  const [branch, setBranch] = useState('')
  const create = useMutation(
    trpc.environments.create.mutationOptions({
      onSuccess: async ({ name: created }) => {
        toast.success(`${created} created`)
        onClose()
        await changed()
      },
    }),
  )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({ project: project.id, name: name.trim(), branch: branch.trim() || null })
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="New environment"
      description="An environment has an address, variables and settings of its own, such as staging."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Name"
          value={name}
          onChange={(event) => setName(event.target.value)}
          placeholder="staging"
          pattern="[a-z0-9]([a-z0-9\-]{0,28}[a-z0-9])?"
          hint={`Lower case letters, digits and dashes. Its address will start with ${project.slug}-${name.trim() || 'name'}.`}
          required
          autoFocus
          autoComplete="off"
          mono
        />
        <TextField
          label="Branch"
          value={branch}
          onChange={(event) => setBranch(event.target.value)}
          placeholder="develop"
          hint="Pushes to this branch are deployed to it. Leave empty to deploy and promote by hand."
          autoComplete="off"
          mono
        />
        {create.error ? <ErrorPanel error={wireErrorOf(create.error)} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={create.isPending} disabled={name.trim() === ''}>
            Create environment
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
