'use client'
import { useMutation } from '@tanstack/react-query'
import { KeyRound, Lock, LockOpen, MoreHorizontal, SlidersHorizontal, X } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { ActionMenuItem } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { Menu, MenuItem, MenuSeparator } from '@/app/components/ui/menu'
import { PageLink } from '@/app/components/ui/page-link'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { EnvironmentView } from '@/shared/environments'
import { useEnvironmentsChanged, useEnvironmentUpdate } from '../use-environment-writes'
import { environmentLabel } from '../use-environments'
import { EnvironmentSettings } from './environment-settings'
import { LockDialog } from './lock-dialog'

function CloseDialog({ environment, onClose }: { environment: EnvironmentView; onClose: () => void }) {
  const trpc = useTRPC()
  const changed = useEnvironmentsChanged()
  const label = environmentLabel(environment)
  const close = useMutation(
    trpc.environments.close.mutationOptions({
      onSuccess: async () => {
        toast.success(`${label} closed`)
        onClose()
        await changed()
      },
    }),
  )
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Close ${label}?`}
      description="Its instances stop, its address answers no more, and deployments that run in it are canceled. Its history stays."
      confirmLabel="Close environment"
      pending={close.isPending}
      error={close.error ? wireErrorOf(close.error) : null}
      onConfirm={() => close.mutate({ environment: environment.id })}
    />
  )
}

/** Settings, lock and closing of an environment. */
export function EnvironmentMenu({ environment }: { environment: EnvironmentView }) {
  const [open, setOpen] = useState<'settings' | 'lock' | 'close' | null>(null)
  const label = environmentLabel(environment)
  const unlock = useEnvironmentUpdate(`${label} unlocked`)
  const close = () => setOpen(null)
  const isClosable = environment.kind !== 'production' && !environment.template
  // A preview has the variables of all previews, and none of its own.
  const variablesOf = environment.kind === 'preview' ? 'preview' : environment.kind === 'production' ? undefined : environment.name
  return (
    <>
      <Menu
        trigger={
          <Button variant="ghost" size="iconSm" aria-label={`Actions for ${label}`}>
            <MoreHorizontal />
          </Button>
        }
      >
        <ActionMenuItem action="environment.write" onSelect={() => setOpen('settings')}>
          <SlidersHorizontal /> Settings
        </ActionMenuItem>
        <MenuItem asChild>
          <PageLink href={paths.variables(environment.projectSlug, variablesOf)}>
            <KeyRound /> Variables
          </PageLink>
        </MenuItem>
        {environment.template ? null : environment.lock ? (
          <ActionMenuItem action="environment.write" onSelect={() => unlock.mutate({ environment: environment.id, lock: null })}>
            <LockOpen /> Unlock
          </ActionMenuItem>
        ) : (
          <ActionMenuItem action="environment.write" onSelect={() => setOpen('lock')}>
            <Lock /> Lock…
          </ActionMenuItem>
        )}
        {isClosable ? (
          <>
            <MenuSeparator />
            <ActionMenuItem action="environment.write" onSelect={() => setOpen('close')} className="text-bad [&_svg]:text-bad">
              <X /> Close…
            </ActionMenuItem>
          </>
        ) : null}
      </Menu>
      {open === 'settings' ? <EnvironmentSettings environment={environment} onClose={close} /> : null}
      {open === 'lock' ? <LockDialog environment={environment} onClose={close} /> : null}
      {open === 'close' ? <CloseDialog environment={environment} onClose={close} /> : null}
    </>
  )
}
