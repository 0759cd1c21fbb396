'use client'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { Button } from '@/app/components/ui/button'
import { CopyButton } from '@/app/components/ui/copy-button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField, TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'

const lifetimes = [
  { days: 30, label: '30 days' },
  { days: 90, label: '90 days' },
  { days: 365, label: '1 year' },
]

function ShownOnce({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <>
      <div className="flex items-center gap-2 rounded-md border bg-console py-1 pr-1 pl-3">
        <code className="min-w-0 flex-1 break-all font-mono text-sm">{secret}</code>
        <CopyButton text={secret} label="Copy key" />
      </div>
      <div className="mt-5 flex justify-end">
        <Button variant="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </>
  )
}

/** Creates an API key and shows it once. */
export function CreateKey({ onClose }: { onClose: () => void }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const create = useMutation(
    trpc.apiKeys.create.mutationOptions({ onSuccess: () => queryClient.invalidateQueries({ queryKey: trpc.apiKeys.list.queryKey() }) }),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const days = Number(form.get('days'))
    create.mutate({ name: String(form.get('name')), role: form.get('role') === 'member' ? 'member' : 'admin', expiresInDays: days || null })
  }
  const made = create.data
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={made ? 'Copy your key now' : 'Create an API key'}
      description={made ? 'It cannot be shown again. Keep it like a password.' : 'It acts for this team, with the role you choose.'}
    >
      {made ? (
        <ShownOnce secret={made.key} onClose={onClose} />
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-4">
          <TextField label="Name" name="name" required maxLength={100} placeholder="CI of the shop" autoFocus autoComplete="off" />
          <div className="grid grid-cols-2 gap-4">
            <SelectField label="Role" name="role" defaultValue="admin">
              <option value="admin">Admin</option>
              <option value="member">Member</option>
            </SelectField>
            <SelectField label="Expires" name="days" defaultValue="90">
              {lifetimes.map(({ days, label }) => (
                <option key={days} value={days}>
                  In {label}
                </option>
              ))}
              <option value="0">Never</option>
            </SelectField>
          </div>
          {create.error ? <ErrorPanel error={wireErrorOf(create.error)} /> : null}
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>Cancel</Button>
            <Button type="submit" variant="primary" pending={create.isPending}>
              Create key
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  )
}
