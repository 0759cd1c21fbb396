'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Card, CardFooter, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { CopyButton } from '@/app/components/ui/copy-button'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import type { GitHookView, GitProvider } from '@/shared/git-events'
import type { ProjectView } from '@/shared/views'

const providers: { id: GitProvider; label: string; advice: string }[] = [
  { id: 'github', label: 'GitHub', advice: 'Settings → Webhooks. Content type application/json; events: pushes and pull requests.' },
  { id: 'gitlab', label: 'GitLab', advice: 'Settings → Webhooks. Secret token or signing token; triggers: push events and merge request events.' },
  {
    id: 'bitbucket',
    label: 'Bitbucket',
    advice: 'Repository settings → Webhooks. Triggers: push; pull request created, updated, merged and declined.',
  },
  { id: 'gitea', label: 'Gitea or Forgejo', advice: 'Settings → Webhooks → Gitea. Events: pushes and pull requests.' },
]

function Copied({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <p className="mb-1 font-medium text-sm">{label}</p>
      <div className="flex items-center gap-2 rounded-md border bg-console py-1 pr-1 pl-3">
        <code className="min-w-0 flex-1 break-all font-mono text-sm">{text}</code>
        <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} />
      </div>
    </div>
  )
}

function HookFields({ hook }: { hook: GitHookView }) {
  const [chosen, setChosen] = useState<GitProvider>('github')
  const provider = providers.find(({ id }) => id === chosen)
  return (
    <div className="flex flex-col gap-4 px-4 pb-5 sm:px-5">
      <SelectField label="Git host" value={chosen} onChange={(event) => setChosen(event.target.value as GitProvider)} hint={provider?.advice}>
        {providers.map(({ id, label }) => (
          <option key={id} value={id}>
            {label}
          </option>
        ))}
      </SelectField>
      <Copied label="Webhook address" text={hook.urls[chosen]} />
      <Copied label="Webhook secret" text={hook.secret} />
      <p className="text-faint text-sm">
        {hook.lastDeliveryAt ? (
          <>
            Last delivery <RelativeTime value={hook.lastDeliveryAt} />
          </>
        ) : (
          'No deliveries yet.'
        )}
        {hook.previousSecretUntil ? (
          <>
            {' The previous secret stops working '}
            <RelativeTime value={hook.previousSecretUntil} />
          </>
        ) : null}
      </p>
    </div>
  )
}

/** Address and secret of the webhook by which a Git host announces pushes and pull requests. */
export function GitWebhook({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const refusal = useRefusal('git-hook.read')
  const hook = useQuery({ ...trpc.gitEvents.hook.queryOptions({ project: project.id }), enabled: refusal === null })
  const [rotating, setRotating] = useState(false)
  const rotate = useMutation(
    trpc.gitEvents.rotateSecret.mutationOptions({
      onSuccess: async () => {
        setRotating(false)
        toast.success('The webhook has a new secret')
        await queryClient.invalidateQueries({ queryKey: trpc.gitEvents.hook.pathKey() })
      },
    }),
  )
  return (
    <Card>
      <CardHeader title="Git webhook" description="Add it to the repository at your Git host: every push to a deployed branch is then deployed." />
      {refusal ? <p className="px-4 pb-5 text-muted sm:px-5">{refusal}</p> : null}
      {hook.error && !refusal ? <ErrorPanel className="m-4" error={wireErrorOf(hook.error)} /> : null}
      {hook.data ? <HookFields hook={hook.data} /> : null}
      <CardFooter className="justify-end">
        <ActionButton action="git-hook.write" onClick={() => setRotating(true)}>
          New secret
        </ActionButton>
      </CardFooter>
      <ConfirmDialog
        open={rotating}
        onOpenChange={setRotating}
        title="Make a new secret?"
        description="Enter the new secret at your Git host within an hour: until then both secrets are accepted, afterwards only the new one."
        confirmLabel="Make secret"
        pending={rotate.isPending}
        error={rotate.error ? wireErrorOf(rotate.error) : null}
        onConfirm={() => rotate.mutate({ project: project.id })}
      />
    </Card>
  )
}
