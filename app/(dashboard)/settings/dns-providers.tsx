'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { DnsProviderView } from '@/shared/certificates'
import { dnsProviderLabels } from '@/shared/dns-providers'
import { EditDnsProvider } from './edit-dns-provider'

function RemoveDialog({ provider, onClose }: { provider: DnsProviderView; onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const remove = useMutation(
    trpc.dnsProviders.remove.mutationOptions({
      onSuccess: async () => {
        toast.success(`${provider.name} was removed`)
        onClose()
        await queryClient.invalidateQueries({ queryKey: trpc.dnsProviders.list.queryKey() })
      },
    }),
  )
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Remove ${provider.name}?`}
      description="Its credentials are deleted. Domains that use it must choose another provider first."
      confirmLabel="Remove provider"
      pending={remove.isPending}
      error={remove.error ? wireErrorOf(remove.error) : null}
      onConfirm={() => remove.mutate({ dnsProviderId: provider.id })}
    />
  )
}

function ProviderRow({ provider, onEdit, onRemove }: { provider: DnsProviderView; onEdit: () => void; onRemove: () => void }) {
  return (
    <li className="flex min-h-14 flex-wrap items-center gap-x-3 gap-y-2 px-4 py-2.5 sm:px-5">
      <div className="min-w-0 flex-1 basis-full sm:basis-0">
        <p className="truncate font-medium">{provider.name}</p>
        <p className="truncate text-faint text-sm">
          {dnsProviderLabels[provider.kind]}
          {provider.domains.length > 0 ? ` · ${provider.domains.join(', ')}` : ' · not used yet'}
        </p>
      </div>
      <ActionButton action="dns-provider.write" size="sm" onClick={onEdit} aria-label={`Replace credentials of ${provider.name}`}>
        Replace credentials
      </ActionButton>
      <ActionButton action="dns-provider.write" size="sm" onClick={onRemove} aria-label={`Remove ${provider.name}`}>
        Remove
      </ActionButton>
    </li>
  )
}

/** DNS providers for dns-01 challenges of wildcard certificates. */
export function DnsProviders() {
  const trpc = useTRPC()
  const providers = useQuery(trpc.dnsProviders.list.queryOptions())
  const [editing, setEditing] = useState<DnsProviderView | 'new' | null>(null)
  const [removing, setRemoving] = useState<DnsProviderView | null>(null)
  return (
    <Card>
      <CardHeader
        title="DNS providers"
        description="For wildcard certificates, and for servers that no CA can reach. Credentials are never shown again."
        actions={
          <ActionButton action="dns-provider.write" variant="primary" onClick={() => setEditing('new')}>
            <Plus /> Add provider
          </ActionButton>
        }
      />
      <div className="border-t">
        {providers.error ? <ErrorPanel className="m-4" error={wireErrorOf(providers.error)} /> : null}
        {providers.isPending ? <SkeletonRows count={1} className="h-14" /> : null}
        {providers.data?.items.length === 0 ? (
          <p className="px-4 py-5 text-muted sm:px-5">No DNS providers yet. Only wildcard domains need one.</p>
        ) : null}
        <ul className="divide-y">
          {providers.data?.items.map((provider) => (
            <ProviderRow key={provider.id} provider={provider} onEdit={() => setEditing(provider)} onRemove={() => setRemoving(provider)} />
          ))}
        </ul>
      </div>
      {editing ? <EditDnsProvider provider={editing === 'new' ? null : editing} onClose={() => setEditing(null)} /> : null}
      {removing ? <RemoveDialog provider={removing} onClose={() => setRemoving(null)} /> : null}
    </Card>
  )
}
