'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { CopyButton } from '@/app/components/ui/copy-button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import type { DeployHookView } from '@/shared/git-events'
import type { ProjectView } from '@/shared/views'

function CreateHook({ project, onClose }: { project: ProjectView; onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const create = useMutation(
    trpc.gitEvents.createDeployHook.mutationOptions({
      onSuccess: () => queryClient.invalidateQueries({ queryKey: trpc.gitEvents.deployHooks.pathKey() }),
    }),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    create.mutate({ project: project.id, name: String(form.get('name')), branch: String(form.get('branch')).trim() || null })
  }
  const made = create.data
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={made ? 'Copy the address now' : 'Create a deploy hook'}
      description={
        made
          ? 'It cannot be shown again. Keep it like a password.'
          : 'A POST request to its address deploys the newest commit of a branch to production.'
      }
    >
      {made ? (
        <>
          <div className="flex items-center gap-2 rounded-md border bg-console py-1 pr-1 pl-3">
            <code className="min-w-0 flex-1 break-all font-mono text-sm">{made.url}</code>
            <CopyButton text={made.url} label="Copy address" />
          </div>
          <div className="mt-5 flex justify-end">
            <Button variant="primary" onClick={onClose}>
              Done
            </Button>
          </div>
        </>
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-4">
          <TextField label="Name" name="name" required maxLength={100} placeholder="Content management" autoFocus autoComplete="off" />
          <TextField label="Branch" name="branch" maxLength={250} placeholder="The branch of production" autoComplete="off" />
          {create.error ? <ErrorPanel error={wireErrorOf(create.error)} /> : null}
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>Cancel</Button>
            <Button type="submit" variant="primary" pending={create.isPending}>
              Create deploy hook
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  )
}

function RemoveHook({ hook, onClose }: { hook: DeployHookView; onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const remove = useMutation(
    trpc.gitEvents.removeDeployHook.mutationOptions({
      onSuccess: async () => {
        toast.success(`${hook.name} was removed`)
        onClose()
        await queryClient.invalidateQueries({ queryKey: trpc.gitEvents.deployHooks.pathKey() })
      },
    }),
  )
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Remove ${hook.name}?`}
      description="Requests to its address will be refused."
      confirmLabel="Remove deploy hook"
      pending={remove.isPending}
      error={remove.error ? wireErrorOf(remove.error) : null}
      onConfirm={() => remove.mutate({ deployHookId: hook.id })}
    />
  )
}

/** Secret addresses that deploy a branch. */
export function DeployHooks({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const refusal = useRefusal('deploy-hook.read')
  const hooks = useQuery({ ...trpc.gitEvents.deployHooks.queryOptions({ project: project.id }), enabled: refusal === null })
  const [creating, setCreating] = useState(false)
  const [removing, setRemoving] = useState<DeployHookView | null>(null)
  return (
    <Card>
      <CardHeader
        title="Deploy hooks"
        description="Secret addresses that deploy a branch, for a content management system or a schedule."
        actions={
          <ActionButton action="deploy-hook.write" onClick={() => setCreating(true)}>
            <Plus /> Create deploy hook
          </ActionButton>
        }
      />
      <div className="border-t">
        {refusal ? <p className="px-4 py-5 text-muted sm:px-5">{refusal}</p> : null}
        {hooks.error && !refusal ? <ErrorPanel className="m-4" error={wireErrorOf(hooks.error)} /> : null}
        {hooks.data?.items.length === 0 ? <p className="px-4 py-5 text-muted sm:px-5">No deploy hooks yet.</p> : null}
        <ul className="divide-y">
          {hooks.data?.items.map((hook) => (
            <li key={hook.id} className="flex min-h-14 items-center gap-4 px-4 py-2 sm:px-5">
              <div className="min-w-0 flex-1">
                <p className="truncate font-medium">{hook.name}</p>
                <p className="truncate text-faint text-sm">
                  <span className="font-mono text-xs">{hook.prefix}…</span> · {hook.branch ?? 'branch of the environment'} to {hook.environment}
                  {hook.lastUsedAt ? (
                    <>
                      {' · used '}
                      <RelativeTime value={hook.lastUsedAt} />
                    </>
                  ) : null}
                </p>
              </div>
              <ActionButton action="deploy-hook.write" size="sm" onClick={() => setRemoving(hook)} aria-label={`Remove ${hook.name}`}>
                Remove
              </ActionButton>
            </li>
          ))}
        </ul>
      </div>
      {creating ? <CreateHook project={project} onClose={() => setCreating(false)} /> : null}
      {removing ? <RemoveHook hook={removing} onClose={() => setRemoving(null)} /> : null}
    </Card>
  )
}
