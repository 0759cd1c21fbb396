'use client'
import { useQuery } from '@tanstack/react-query'
import { KeyRound, MoreHorizontal, Pencil, Plus, Send, Trash2, Webhook } from 'lucide-react'
import { useState } from 'react'
import { ActionButton, ActionMenuItem, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { Menu } from '@/app/components/ui/menu'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { Status } from '@/app/components/ui/status'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import type { ProjectView } from '@/shared/views'
import type { WebhookView } from '@/shared/webhooks'
import { useTestWebhook } from './use-test-webhook'
import { RemoveWebhook, SecretDialog, WebhookDialog } from './webhook-dialogs'

function WebhookState({ webhook: { enabled, failingSince } }: { webhook: WebhookView }) {
  if (!enabled) return <Status tone="neutral" label="Off" />
  return failingSince ? <Status tone="bad" label="Failing" /> : <Status tone="good" label="On" />
}

function WebhookRow({ project, webhook }: { project: ProjectView; webhook: WebhookView }) {
  const [open, setOpen] = useState<'edit' | 'secret' | 'remove' | null>(null)
  const test = useTestWebhook()
  const close = () => setOpen(null)
  const { url, kinds, projectId, disabledReason, failingSince } = webhook
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto_auto] items-center gap-x-4 px-4 py-3 sm:px-5">
      <span className="min-w-0">
        <span className="block truncate font-mono text-sm">{url}</span>
        <span className="wrap-anywhere text-muted text-sm">
          {kinds.includes('*') ? 'All events' : kinds.join(', ')}
          {projectId === null ? ' · of all projects of the team' : ''}
        </span>
        {disabledReason ? <span className="block text-sm text-warn">{disabledReason}</span> : null}
        {failingSince ? (
          <span className="block text-sm text-warn">
            No delivery has succeeded since <RelativeTime value={failingSince} />
          </span>
        ) : null}
      </span>
      <WebhookState webhook={webhook} />
      <Menu
        trigger={
          <Button variant="ghost" size="iconSm" aria-label={`Actions for ${url}`}>
            <MoreHorizontal />
          </Button>
        }
      >
        <ActionMenuItem action="webhook.test" onSelect={() => test.mutate({ webhookId: webhook.id })}>
          <Send /> Send test message
        </ActionMenuItem>
        <ActionMenuItem action="webhook.write" onSelect={() => setOpen('edit')}>
          <Pencil /> Change…
        </ActionMenuItem>
        <ActionMenuItem action="webhook-secret.read" onSelect={() => setOpen('secret')}>
          <KeyRound /> Signing secret…
        </ActionMenuItem>
        <ActionMenuItem action="webhook.write" onSelect={() => setOpen('remove')} className="text-bad [&_svg]:text-bad">
          <Trash2 /> Remove…
        </ActionMenuItem>
      </Menu>
      {open === 'edit' ? <WebhookDialog project={project} webhook={webhook} onClose={close} /> : null}
      {open === 'secret' ? <SecretDialog webhook={webhook} onClose={close} /> : null}
      {open === 'remove' ? <RemoveWebhook webhook={webhook} onClose={close} /> : null}
    </li>
  )
}

/** Addresses that get events of the project. */
export function OutgoingWebhooks({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const isRefused = useRefusal('webhook.read') !== null
  const webhooks = useQuery({ ...trpc.webhooks.list.queryOptions({ project: project.id }), enabled: !isRefused })
  const [adding, setAdding] = useState(false)
  const items = webhooks.data?.items ?? []
  return (
    <Card>
      <CardHeader
        title="Outgoing webhooks"
        description="Services that are told about deployments, domains and certificates."
        actions={
          <ActionButton action="webhook.write" onClick={() => setAdding(true)}>
            <Plus /> Add webhook
          </ActionButton>
        }
      />
      <div className="border-t">
        {isRefused ? <RefusalNote action="webhook.read" className="m-4" /> : null}
        {webhooks.error ? <ErrorPanel className="m-4" error={wireErrorOf(webhooks.error)} /> : null}
        {webhooks.isPending && !isRefused ? <SkeletonRows count={1} className="h-16" /> : null}
        {webhooks.data && items.length === 0 ? (
          <EmptyState icon={Webhook} title="No webhook yet">
            Add an address to be told when a version goes live, fails or is rolled back.
          </EmptyState>
        ) : null}
        <ul className="divide-y">
          {items.map((webhook) => (
            <WebhookRow key={webhook.id} project={project} webhook={webhook} />
          ))}
        </ul>
      </div>
      {adding ? <WebhookDialog project={project} onClose={() => setAdding(false)} /> : null}
    </Card>
  )
}
