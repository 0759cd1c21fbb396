'use client'
import { X } from 'lucide-react'
import { Dialog as Radix } from 'radix-ui'
import type { ReactNode } from 'react'
import { cn } from '@/app/lib/cn'
import { Button } from './button'

interface DialogProps {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  description?: ReactNode
  children?: ReactNode
  /** `sheet` slides in from the right and takes the whole height. */
  shape?: keyof typeof shapes
}

const box =
  'top-1/2 left-1/2 max-h-[calc(100dvh-2rem)] w-[calc(100vw-2rem)] -translate-x-1/2 -translate-y-1/2 animate-pop overflow-y-auto rounded-xl border p-5'
const shapes = {
  box: `${box} max-w-md`,
  wide: `${box} max-w-xl`,
  sheet: 'inset-y-0 right-0 flex w-full max-w-4xl animate-slide flex-col border-l p-4 sm:p-5',
}

/** A modal window: traps focus, closes on Escape and on a click outside, gives focus back. */
export function Dialog({ open, onOpenChange, title, description, children, shape = 'box' }: DialogProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 animate-fade bg-black/45 backdrop-blur-[2px]" />
        <Radix.Content
          className={cn('fixed z-50 bg-surface shadow-pop outline-none', shapes[shape])}
          {...(description ? {} : { 'aria-describedby': undefined })}
        >
          <div className="mb-4 flex items-start justify-between gap-4">
            <div className="min-w-0">
              <Radix.Title className="font-semibold text-lg">{title}</Radix.Title>
              {description ? (
                <Radix.Description asChild>
                  <div className="mt-1 text-muted">{description}</div>
                </Radix.Description>
              ) : null}
            </div>
            <Radix.Close asChild>
              <Button variant="ghost" size="iconSm" aria-label="Close" className="-mt-1 -mr-1">
                <X />
              </Button>
            </Radix.Close>
          </div>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
