'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Eye, Plus, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { ActionButton, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { CopyButton } from '@/app/components/ui/copy-button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import { forgeLabels } from '@/shared/forges'
import { type DeployHookView, type GitProvider, gitProviders } from '@/shared/git-events'
import type { ProjectView } from '@/shared/views'

function useGitEventsChanged(): () => Promise<void> {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  return () => queryClient.invalidateQueries({ queryKey: trpc.gitEvents.pathKey() })
}

function Copied({ label, text }: { label: string; text: string }) {
  return (
    <div className="min-w-0">
      <p className="mb-1.5 font-medium text-sm">{label}</p>
      <div className="flex items-center gap-1">
        <code className="wrap-anywhere min-w-0 flex-1 rounded-md border bg-sunken px-2.5 py-2 font-mono text-sm">{text}</code>
        <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} />
      </div>
    </div>
  )
}

/** Address and secret to enter at the Git host. */
export function GitHook({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const isRefused = useRefusal('git-hook.read') !== null
  const hook = useQuery({ ...trpc.gitEvents.hook.queryOptions({ project: project.id }), enabled: !isRefused })
  const changed = useGitEventsChanged()
  const [provider, setProvider] = useState<GitProvider>('github')
  const [isShown, setShown] = useState(false)
  const rotate = useMutation(
    trpc.gitEvents.rotateSecret.mutationOptions({
      onSuccess: async () => {
        toast.success('New secret; the previous one is accepted for an hour')
        await changed()
      },
      onError: notifyFailure,
    }),
  )
  return (
    <Card>
      <CardHeader
        title="Webhook of the repository"
        description="Pushes and pull requests reach this project by it. Enter both values at the Git host."
      />
      <div className="flex flex-col gap-4 px-4 pb-5 sm:px-5">
        <RefusalNote action="git-hook.read" />
        {hook.error ? <ErrorPanel error={wireErrorOf(hook.error)} /> : null}
        {hook.data ? (
          <>
            <SelectField label="Git host" value={provider} onChange={(event) => setProvider(event.target.value as GitProvider)} className="max-w-xs">
              {gitProviders.map((each) => (
                <option key={each} value={each}>
                  {forgeLabels[each]}
                </option>
              ))}
            </SelectField>
            <Copied label="Address" text={hook.data.urls[provider]} />
            {isShown ? (
              <Copied label="Secret" text={hook.data.secret} />
            ) : (
              <Button className="self-start" onClick={() => setShown(true)}>
                <Eye /> Show secret
              </Button>
            )}
            <p className="text-faint text-sm">
              {hook.data.lastDeliveryAt ? (
                <>
                  Last delivery <RelativeTime value={hook.data.lastDeliveryAt} />
                </>
              ) : (
                'Nothing was delivered yet.'
              )}
            </p>
          </>
        ) : null}
      </div>
      <CardFooter className="justify-end">
        <ActionButton action="git-hook.write" pending={rotate.isPending} onClick={() => rotate.mutate({ project: project.id })}>
          Replace secret
        </ActionButton>
      </CardFooter>
    </Card>
  )
}

function CreateDeployHook({ project, onClose }: { project: ProjectView; onClose: () => void }) {
  const trpc = useTRPC()
  const changed = useGitEventsChanged()
  const create = useMutation(trpc.gitEvents.createDeployHook.mutationOptions({ onSuccess: changed }))
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const field = (name: string) => String(form.get(name)).trim()
    create.mutate({ project: project.id, name: field('name'), environment: field('environment') || 'production', branch: field('branch') || null })
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="New deploy hook"
      description="Whoever sends a POST request to its address deploys a branch."
    >
      {create.data ? (
        <div className="flex flex-col gap-4">
          <Copied label="Address" text={create.data.url} />
          <p className="text-muted text-sm">It is shown this once: copy it now.</p>
          <Button variant="primary" className="self-end" onClick={onClose}>
            Done
          </Button>
        </div>
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-4">
          <TextField label="Name" name="name" placeholder="cms" required autoFocus autoComplete="off" />
          <TextField label="Environment" name="environment" mono placeholder="production" autoComplete="off" />
          <TextField label="Branch" name="branch" mono placeholder="Branch of the environment" autoComplete="off" />
          {create.error ? <ErrorPanel error={wireErrorOf(create.error)} /> : null}
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>Cancel</Button>
            <Button type="submit" variant="primary" pending={create.isPending}>
              Create hook
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  )
}

function DeployHookRow({ hook }: { hook: DeployHookView }) {
  const trpc = useTRPC()
  const changed = useGitEventsChanged()
  const remove = useMutation(
    trpc.gitEvents.removeDeployHook.mutationOptions({
      onSuccess: async () => {
        toast.success(`${hook.name} removed`)
        await changed()
      },
      onError: notifyFailure,
    }),
  )
  return (
    <li className="flex items-center justify-between gap-4 px-4 py-2.5 sm:px-5">
      <span className="min-w-0">
        <span className="block truncate font-medium">{hook.name}</span>
        <span className="block truncate text-muted text-sm">
          {hook.branch ?? 'Branch of the environment'} → {hook.environment} · {hook.prefix}…{' '}
          {hook.lastUsedAt ? (
            <>
              · used <RelativeTime value={hook.lastUsedAt} />
            </>
          ) : (
            '· never used'
          )}
        </span>
      </span>
      <ActionButton
        action="deploy-hook.write"
        variant="ghost"
        size="iconSm"
        aria-label={`Remove ${hook.name}`}
        pending={remove.isPending}
        onClick={() => remove.mutate({ deployHookId: hook.id })}
      >
        <Trash2 />
      </ActionButton>
    </li>
  )
}

/** Secret addresses that deploy a branch. */
export function DeployHooks({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const isRefused = useRefusal('deploy-hook.read') !== null
  const { data, error } = useQuery({ ...trpc.gitEvents.deployHooks.queryOptions({ project: project.id }), enabled: !isRefused })
  const [creating, setCreating] = useState(false)
  return (
    <Card>
      <CardHeader
        title="Deploy hooks"
        description="Secret addresses that deploy a branch, for a content system or a timer."
        actions={
          <ActionButton action="deploy-hook.write" onClick={() => setCreating(true)}>
            <Plus /> Add deploy hook
          </ActionButton>
        }
      />
      {error ? <ErrorPanel className="m-4" error={wireErrorOf(error)} /> : null}
      <ul className="divide-y border-t empty:hidden">
        {data?.items.map((hook) => (
          <DeployHookRow key={hook.id} hook={hook} />
        ))}
      </ul>
      {creating ? <CreateDeployHook project={project} onClose={() => setCreating(false)} /> : null}
    </Card>
  )
}
