'use client'
import { useMutation } from '@tanstack/react-query'
import { MoreHorizontal, Pencil, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { Button } from '@/app/components/ui/button'
import { ConfirmDialog } from '@/app/components/ui/confirm-dialog'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { AreaField } from '@/app/components/ui/field'
import { Menu, MenuItem } from '@/app/components/ui/menu'
import { RelativeTime } from '@/app/components/ui/time'
import { ScopeField, scopeLabels } from '@/app/components/variable-scope'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { VariableView } from '@/shared/views'
import { useVariablesChanged, type VariablesOf } from './use-variable-writes'

interface RowProps {
  of: VariablesOf
  variable: VariableView
  onChanged: () => void
}

function EditDialog({ of, variable, onChanged, onClose }: RowProps & { onClose: () => void }) {
  const trpc = useTRPC()
  const refresh = useVariablesChanged(of, onChanged)
  const [scope, setScope] = useState(variable.scope)
  const save = useMutation(
    trpc.variables.set.mutationOptions({
      onSuccess: async ({ caution }) => {
        toast.success(`${variable.key} saved`, { description: caution ?? undefined })
        onClose()
        await refresh()
      },
    }),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    save.mutate({ ...of, key: variable.key, value: String(new FormData(event.currentTarget).get('value')), scope })
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Replace ${variable.key}`}
      description="The current value cannot be shown. Enter a new value."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <AreaField label="New value" name="value" mono rows={3} autoFocus autoComplete="off" />
        <ScopeField value={scope} onScope={setScope} />
        {save.error ? <ErrorPanel error={wireErrorOf(save.error)} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function RemoveDialog({ of, variable, onChanged, onClose }: RowProps & { onClose: () => void }) {
  const trpc = useTRPC()
  const refresh = useVariablesChanged(of, onChanged)
  const remove = useMutation(
    trpc.variables.remove.mutationOptions({
      onSuccess: async () => {
        toast.success(`${variable.key} removed`)
        onClose()
        await refresh()
      },
    }),
  )
  return (
    <ConfirmDialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Remove ${variable.key}?`}
      description="The value is deleted permanently. The running app keeps it until the next deployment."
      confirmLabel="Remove"
      pending={remove.isPending}
      error={remove.error ? wireErrorOf(remove.error) : null}
      onConfirm={() => remove.mutate({ ...of, key: variable.key })}
    />
  )
}

/** Row of a variable: name, masked value, last author. */
export function VariableRow(props: RowProps) {
  const { variable } = props
  const [open, setOpen] = useState<'edit' | 'remove' | null>(null)
  const close = () => setOpen(null)
  return (
    <li className="grid min-h-14 grid-cols-[1fr_auto] items-center gap-x-4 px-4 py-2 sm:grid-cols-[minmax(0,1.4fr)_6rem_9rem_10rem_auto] sm:px-5">
      <span className="truncate font-medium font-mono text-sm">{variable.key}</span>
      <span role="img" className="hidden text-faint tracking-widest sm:block" aria-label="Hidden value">
        ••••••••
      </span>
      <span className="order-last text-muted text-sm sm:order-none">{scopeLabels[variable.scope]}</span>
      <span className="hidden truncate text-faint text-sm sm:block sm:text-right">
        <RelativeTime value={variable.updatedAt} />
        {variable.updatedBy ? ` by ${variable.updatedBy}` : ''}
      </span>
      <Menu
        trigger={
          <Button variant="ghost" size="iconSm" aria-label={`Actions for ${variable.key}`}>
            <MoreHorizontal />
          </Button>
        }
      >
        <MenuItem onSelect={() => setOpen('edit')}>
          <Pencil /> Replace value
        </MenuItem>
        <MenuItem onSelect={() => setOpen('remove')} className="text-bad [&_svg]:text-bad">
          <Trash2 /> Remove
        </MenuItem>
      </Menu>
      {open === 'edit' ? <EditDialog {...props} onClose={close} /> : null}
      {open === 'remove' ? <RemoveDialog {...props} onClose={close} /> : null}
    </li>
  )
}
