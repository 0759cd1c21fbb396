'use client'
import type { Route } from 'next'
import { usePathname } from 'next/navigation'
import { useEffect, useRef } from 'react'
import { PageLink } from '@/app/components/ui/page-link'
import { cn } from '@/app/lib/cn'

export interface Tab {
  href: Route
  label: string
  /** The tab is also active on pages below its path. */
  deep?: boolean
}

/** Navigation tabs; scroll horizontally on narrow screens. */
export function Tabs({ tabs, label }: { tabs: Tab[]; label: string }) {
  const pathname = usePathname()
  const row = useRef<HTMLElement>(null)
  useEffect(() => {
    // The active tab may be outside the visible area of a narrow screen.
    if (pathname) row.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [pathname])
  return (
    <nav ref={row} aria-label={label} className="-mx-2.5 flex gap-0.5 overflow-x-auto [scrollbar-width:none]">
      {tabs.map(({ href, label: text, deep }) => {
        const active = pathname === href || (deep === true && pathname.startsWith(`${href}/`))
        return (
          <PageLink
            key={href}
            href={href}
            aria-current={active ? 'page' : undefined}
            className={cn(
              'relative shrink-0 rounded-md px-2.5 py-2 text-sm transition-colors focus-visible:-outline-offset-2',
              active
                ? 'font-medium text-fg after:absolute after:inset-x-2.5 after:-bottom-px after:h-0.5 after:rounded-full after:bg-accent'
                : 'text-muted hover:text-fg',
            )}
          >
            {text}
          </PageLink>
        )
      })}
    </nav>
  )
}
