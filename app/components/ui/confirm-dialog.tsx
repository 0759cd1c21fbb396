'use client'
import { type FormEvent, type ReactNode, useState } from 'react'
import { Button } from './button'
import { Dialog } from './dialog'
import { ErrorPanel, type ShownError } from './error-panel'
import { TextField } from './field'

interface ConfirmDialogProps {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  description: ReactNode
  confirmLabel: string
  cancelLabel?: string
  /** The person must type this text first. */
  typeToConfirm?: string
  pending: boolean
  error: ShownError | null
  onConfirm: () => void
  /** Details or options to show before the confirmation. */
  children?: ReactNode
}

/** Confirmation dialog for irreversible actions. Errors are shown inside the dialog. */
export function ConfirmDialog({
  typeToConfirm,
  confirmLabel,
  cancelLabel = 'Keep it',
  pending,
  error,
  onConfirm,
  children,
  ...dialog
}: ConfirmDialogProps) {
  const [typed, setTyped] = useState('')
  const ready = typeToConfirm === undefined || typed === typeToConfirm
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (ready && !pending) onConfirm()
  }
  return (
    <Dialog {...dialog}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        {children}
        {typeToConfirm === undefined ? null : (
          <TextField
            label={`Type “${typeToConfirm}” to confirm`}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            autoComplete="off"
            autoFocus
            mono
          />
        )}
        {error ? <ErrorPanel error={error} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={() => dialog.onOpenChange(false)}>{cancelLabel}</Button>
          <Button type="submit" variant="danger" pending={pending} disabled={!ready}>
            {confirmLabel}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
