import type { LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { cn } from '@/app/lib/cn'

/** Empty state of a list or page: reason and next action. */
export function EmptyState({
  icon: Icon,
  title,
  children,
  actions,
  className,
  heading: Heading = 'h2',
}: {
  icon: LucideIcon
  title: string
  children?: ReactNode
  actions?: ReactNode
  className?: string
  /** `h1` if the empty state is the whole page. */
  heading?: 'h1' | 'h2'
}) {
  return (
    <div className={cn('flex flex-col items-center px-6 py-12 text-center', className)}>
      <div className="mb-4 grid size-11 place-items-center rounded-xl border bg-sunken text-muted">
        <Icon className="size-5" aria-hidden />
      </div>
      <Heading className="font-semibold text-lg">{title}</Heading>
      {children ? <div className="mt-1 max-w-md text-balance text-muted">{children}</div> : null}
      {actions ? <div className="mt-5 flex flex-wrap justify-center gap-2">{actions}</div> : null}
    </div>
  )
}
