'use client'
import { useMutation, useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { Button } from '@/app/components/ui/button'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { CopyButton } from '@/app/components/ui/copy-button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { Skeleton } from '@/app/components/ui/skeleton'
import { Day } from '@/app/components/ui/time'
import { Toggle } from '@/app/components/ui/toggle'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'
import { eventPatterns, type WebhookView } from '@/shared/webhooks'
import { useWebhooksChanged } from './use-webhooks-changed'

const groups = eventPatterns.filter((pattern) => pattern.endsWith('.*'))

/** Address and kinds of events of a new webhook, or of an existing one. */
export function WebhookDialog({ project, webhook, onClose }: { project: ProjectView; webhook?: WebhookView; onClose: () => void }) {
  const trpc = useTRPC()
  const changed = useWebhooksChanged()
  const [url, setUrl] = useState(webhook?.url ?? '')
  const [kinds, setKinds] = useState<string[]>(webhook?.kinds ?? ['deployment.*'])
  const [enabled, setEnabled] = useState(webhook?.enabled ?? true)
  const options = {
    onSuccess: async () => {
      toast.success('Webhook saved')
      onClose()
      await changed()
    },
  }
  const create = useMutation(trpc.webhooks.create.mutationOptions(options))
  const update = useMutation(trpc.webhooks.update.mutationOptions(options))
  const error = create.error ?? update.error
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const input = { url: url.trim(), kinds, enabled }
    if (webhook) update.mutate({ webhookId: webhook.id, ...input })
    else create.mutate({ project: project.id, ...input })
  }
  // A kind that was chosen by the API and belongs to no group stays chosen.
  const choices = [...new Set([...groups, ...kinds.filter((kind) => kind !== '*')])]
  const toggle = (kind: string, on: boolean) => setKinds(on ? [...kinds.filter((one) => one !== '*'), kind] : kinds.filter((one) => one !== kind))
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={webhook ? 'Change webhook' : 'New webhook'}
      description="Each event is sent as a POST request; failed deliveries are repeated for three days."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Address"
          type="url"
          mono
          value={url}
          onChange={(event) => setUrl(event.target.value)}
          placeholder="https://hooks.example.com/switchyard"
          required
          autoFocus
          autoComplete="off"
        />
        <fieldset className="flex flex-col gap-2">
          <legend className="mb-1.5 font-medium text-sm">Events</legend>
          <Toggle label="All events" checked={kinds.includes('*')} onChange={(on) => setKinds(on ? ['*'] : ['deployment.*'])} />
          {choices.map((kind) => (
            <Toggle
              key={kind}
              label={kind}
              checked={kinds.includes('*') || kinds.includes(kind)}
              disabled={kinds.includes('*')}
              onChange={(on) => toggle(kind, on)}
            />
          ))}
        </fieldset>
        {webhook ? <Toggle label="On" hint="Off: events are not sent." checked={enabled} onChange={setEnabled} /> : null}
        {error ? <ErrorPanel error={wireErrorOf(error)} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={create.isPending || update.isPending} disabled={url.trim() === '' || kinds.length === 0}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** The secret by which a receiver checks signatures, with its rotation. */
export function SecretDialog({ webhook, onClose }: { webhook: WebhookView; onClose: () => void }) {
  const trpc = useTRPC()
  const changed = useWebhooksChanged()
  const secret = useQuery({ ...trpc.webhooks.secret.queryOptions({ webhookId: webhook.id }), staleTime: 0, gcTime: 0 })
  const rotate = useMutation(
    trpc.webhooks.rotateSecret.mutationOptions({
      onSuccess: async () => {
        toast.success('New secret; the previous one signs as well for 24 hours')
        await Promise.all([secret.refetch(), changed()])
      },
      onError: notifyFailure,
    }),
  )
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Signing secret"
      description="A receiver checks the header webhook-signature with it. Libraries: standardwebhooks.com."
    >
      <div className="flex flex-col gap-4">
        {secret.isPending ? <Skeleton className="h-9" /> : null}
        {secret.error ? <ErrorPanel error={wireErrorOf(secret.error)} /> : null}
        {secret.data ? (
          <>
            <div className="flex items-center gap-1">
              <code className="wrap-anywhere min-w-0 flex-1 rounded-md border bg-sunken px-2.5 py-2 font-mono text-sm">{secret.data.secret}</code>
              <CopyButton text={secret.data.secret} label="Copy secret" />
            </div>
            {secret.data.previousSecretUntil ? (
              <p className="text-muted text-sm">
                The previous secret signs as well until <Day value={secret.data.previousSecretUntil} />.
              </p>
            ) : null}
          </>
        ) : null}
        <div className="flex justify-end gap-2">
          <Button pending={rotate.isPending} onClick={() => rotate.mutate({ webhookId: webhook.id })}>
            Replace secret
          </Button>
          <Button variant="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </div>
    </Dialog>
  )
}

/** Removes a webhook with its deliveries. */
export function RemoveWebhook({ webhook, onClose }: { webhook: WebhookView; onClose: () => void }) {
  const trpc = useTRPC()
  const changed = useWebhooksChanged()
  const remove = useMutation(
    trpc.webhooks.remove.mutationOptions({
      onSuccess: async () => {
        toast.success('Webhook removed')
        onClose()
        await changed()
      },
    }),
  )
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Remove this webhook?"
      description={`Nothing more is sent to ${webhook.url}. Its deliveries are removed, too.`}
      confirmLabel="Remove"
      pending={remove.isPending}
      error={remove.error ? wireErrorOf(remove.error) : null}
      onConfirm={() => remove.mutate({ webhookId: webhook.id })}
    />
  )
}
