import type { ComponentProps, ReactNode } from 'react'
import { cn } from '@/app/lib/cn'

export function Card({ className, ...props }: ComponentProps<'section'>) {
  return <section className={cn('rounded-xl border bg-surface shadow-card', className)} {...props} />
}

/** Head of a card: title, one line of explanation, actions at the right. */
export function CardHeader({
  title,
  description,
  actions,
  className,
}: {
  title: string
  description?: ReactNode
  actions?: ReactNode
  className?: string
}) {
  return (
    <div className={cn('flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 pt-3.5 pb-3 sm:flex-nowrap sm:px-5', className)}>
      <div className="min-w-0">
        <h2 className="font-semibold text-lg leading-7">{title}</h2>
        {description ? <p className="text-muted">{description}</p> : null}
      </div>
      {actions ? <div className="flex shrink-0 items-center gap-2">{actions}</div> : null}
    </div>
  )
}

/** Foot of a form card: a note at the left, the button at the right. */
export function CardFooter({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <div className={cn('flex flex-wrap items-center justify-between gap-3 rounded-b-xl border-t bg-sunken px-4 py-3 sm:px-5', className)}>
      {children}
    </div>
  )
}
