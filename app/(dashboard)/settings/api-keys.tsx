'use client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { Day, RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import { useRefusal } from '@/app/lib/use-refusal'
import type { ApiKeyView } from '@/shared/views'
import { CreateKey } from './create-key'

function RevokeDialog({ apiKey, onClose }: { apiKey: ApiKeyView; onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const revoke = useMutation(
    trpc.apiKeys.revoke.mutationOptions({
      onSuccess: async () => {
        toast.success(`${apiKey.name} was revoked`)
        onClose()
        await queryClient.invalidateQueries({ queryKey: trpc.apiKeys.list.queryKey() })
      },
    }),
  )
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Revoke ${apiKey.name}?`}
      description="Requests with this key will be refused."
      confirmLabel="Revoke key"
      pending={revoke.isPending}
      error={revoke.error ? wireErrorOf(revoke.error) : null}
      onConfirm={() => revoke.mutate({ apiKeyId: apiKey.id })}
    />
  )
}

function KeyRow({ apiKey, onRevoke }: { apiKey: ApiKeyView; onRevoke: () => void }) {
  return (
    <li className="flex min-h-14 items-center gap-4 px-4 py-2 sm:px-5">
      <div className="min-w-0 flex-1">
        <p className="truncate font-medium">{apiKey.name}</p>
        <p className="truncate text-faint text-sm">
          <span className="font-mono text-xs">{apiKey.prefix}…</span> · {apiKey.role}
          {apiKey.expiresAt ? (
            <>
              {' · expires '}
              <Day value={apiKey.expiresAt} />
            </>
          ) : null}
        </p>
      </div>
      <span className="hidden text-faint text-sm sm:block">
        {apiKey.lastUsedAt ? (
          <>
            Used <RelativeTime value={apiKey.lastUsedAt} />
          </>
        ) : (
          'Never used'
        )}
      </span>
      <Button size="sm" onClick={onRevoke} aria-label={`Revoke ${apiKey.name}`}>
        Revoke
      </Button>
    </li>
  )
}

/** Keys for the CLI and for automation. */
export function ApiKeys() {
  const trpc = useTRPC()
  const refusal = useRefusal('api-key.read')
  const keys = useQuery({ ...trpc.apiKeys.list.queryOptions(), enabled: refusal === null })
  const [creating, setCreating] = useState(false)
  const [revoking, setRevoking] = useState<ApiKeyView | null>(null)
  return (
    <Card>
      <CardHeader
        title="API keys"
        description="For the command line, CI and your own scripts. A key is shown only once, when it is created."
        actions={
          <ActionButton action="api-key.write" variant="primary" onClick={() => setCreating(true)}>
            <Plus /> Create key
          </ActionButton>
        }
      />
      <div className="border-t">
        {refusal ? <p className="px-4 py-5 text-muted sm:px-5">{refusal}</p> : null}
        {keys.error && !refusal ? <ErrorPanel className="m-4" error={wireErrorOf(keys.error)} /> : null}
        {keys.isPending && !refusal ? <SkeletonRows count={1} className="h-14" /> : null}
        {keys.data?.length === 0 ? (
          <p className="px-4 py-5 text-muted sm:px-5">No keys yet. Create one, then run `switchyard login` with it.</p>
        ) : null}
        <ul className="divide-y">
          {keys.data?.map((key) => (
            <KeyRow key={key.id} apiKey={key} onRevoke={() => setRevoking(key)} />
          ))}
        </ul>
      </div>
      {creating ? <CreateKey onClose={() => setCreating(false)} /> : null}
      {revoking ? <RevokeDialog apiKey={revoking} onClose={() => setRevoking(null)} /> : null}
    </Card>
  )
}
