'use client'
import { type FormEvent, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { TextField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import type { EnvironmentView } from '@/shared/environments'
import { useEnvironmentUpdate } from '../use-environment-writes'
import { environmentLabel } from '../use-environments'

/** Asks for the reason of a deploy lock. */
export function LockDialog({ environment, onClose }: { environment: EnvironmentView; onClose: () => void }) {
  const label = environmentLabel(environment)
  const [reason, setReason] = useState('')
  const lock = useEnvironmentUpdate(`${label} locked`, onClose)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    lock.mutate({ environment: environment.id, lock: reason.trim() })
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Lock ${label}?`}
      description="While it is locked, no deployment, rollback or promotion is accepted. The live version keeps serving."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="Reason"
          value={reason}
          onChange={(event) => setReason(event.target.value)}
          placeholder="Release freeze until Monday"
          hint="Shown to everyone who tries to deploy."
          maxLength={500}
          required
          autoFocus
          autoComplete="off"
        />
        {lock.error ? <ErrorPanel error={wireErrorOf(lock.error)} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" pending={lock.isPending} disabled={reason.trim() === ''}>
            Lock
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
