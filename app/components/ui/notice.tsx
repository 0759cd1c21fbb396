import type { LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { cn } from '@/app/lib/cn'

const tones = { warn: 'border-warn/30 bg-warn-soft [&_svg]:text-warn', info: 'bg-sunken [&_svg]:text-muted' }

interface NoticeProps {
  icon: LucideIcon
  title: ReactNode
  children?: ReactNode
  actions?: ReactNode
  tone?: keyof typeof tones
  className?: string
}

/** A state that holds until it is changed, with the action that changes it. */
export function Notice({ icon: Icon, title, children, actions, tone = 'warn', className }: NoticeProps) {
  return (
    <div role="status" className={cn('flex flex-wrap items-start gap-x-4 gap-y-2 rounded-lg border px-3.5 py-2.5', tones[tone], className)}>
      <div className="flex min-w-0 flex-1 basis-72 gap-3">
        <Icon className="mt-0.5 size-4 shrink-0" aria-hidden />
        <div className="min-w-0">
          <p className="wrap-anywhere font-medium">{title}</p>
          {children ? <div className="wrap-anywhere text-muted text-sm">{children}</div> : null}
        </div>
      </div>
      {actions ? <div className="flex shrink-0 flex-wrap gap-2">{actions}</div> : null}
    </div>
  )
}
