'use client'
import { LockKeyhole } from 'lucide-react'
import type { ComponentProps, MouseEvent, ReactNode } from 'react'
import { toast } from 'sonner'
import { cn } from '@/app/lib/cn'
import { type Action, useRefusal } from '@/app/lib/use-refusal'
import { Button } from './ui/button'
import { MenuItem } from './ui/menu'

/** Button of an action that needs a permission: without it the button stays visible, does nothing, and explains why. */
export function ActionButton({ action, onClick, className, ...props }: ComponentProps<typeof Button> & { action: Action }) {
  const refusal = useRefusal(action)
  if (refusal === null) return <Button onClick={onClick} className={className} {...props} />
  const explain = (event: MouseEvent) => {
    event.preventDefault()
    toast.info(refusal)
  }
  // Not `disabled`: a disabled button cannot be focused, so its reason would not be accessible.
  return <Button {...props} type="button" disabled={false} aria-disabled title={refusal} onClick={explain} className={cn('opacity-50', className)} />
}

/** Menu item of an action that needs a permission: without it the item stays in the menu and explains why it does nothing. */
export function ActionMenuItem({ action, onSelect, className, ...props }: ComponentProps<typeof MenuItem> & { action: Action }) {
  const refusal = useRefusal(action)
  if (refusal === null) return <MenuItem onSelect={onSelect} className={className} {...props} />
  return <MenuItem {...props} aria-disabled title={refusal} onSelect={() => toast.info(refusal)} className={cn(className, 'opacity-50')} />
}

/** Fields that are read-only without the permission. A `RefusalNote` shows the reason. */
export function Permitted({ action, children }: { action: Action; children: ReactNode }) {
  return (
    <fieldset disabled={useRefusal(action) !== null} className="contents">
      {children}
    </fieldset>
  )
}

/** Explains why the page is read-only; renders nothing with the permission. */
export function RefusalNote({ action, className }: { action: Action; className?: string }) {
  const refusal = useRefusal(action)
  if (refusal === null) return null
  return (
    <div role="note" className={cn('flex gap-3 rounded-lg border bg-sunken px-4 py-3', className)}>
      <LockKeyhole className="mt-0.5 size-4 shrink-0 text-muted" aria-hidden />
      <p className="min-w-0">
        <span className="font-medium">You can view this, but not change it.</span> <span className="text-muted">{refusal}</span>
      </p>
    </div>
  )
}
