'use client'
import { useQuery } from '@tanstack/react-query'
import { LogOut, Settings } from 'lucide-react'
import { signOut } from 'next-auth/react'
import { notifyFailure } from '@/app/components/notify'
import { Menu, MenuItem, MenuSeparator } from '@/app/components/ui/menu'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { ThemeChoice } from './theme-choice'

async function leave() {
  try {
    await signOut({ redirect: false })
    window.location.assign(paths.login)
  } catch (error) {
    // The sign-out failed and the session still exists: stay on the page and show the error.
    notifyFailure(error)
  }
}

/** Account menu: signed-in person, theme, sign-out. */
export function UserMenu() {
  const trpc = useTRPC()
  const { data } = useQuery(trpc.me.get.queryOptions())
  const name = data?.user.name || data?.user.email || ''
  return (
    <Menu
      trigger={
        <button
          type="button"
          aria-label="Account menu"
          className="grid size-8 place-items-center rounded-full bg-accent-soft font-semibold text-accent-text text-sm uppercase transition-shadow hover:ring-2 hover:ring-line-strong"
        >
          {name.slice(0, 1) || '·'}
        </button>
      }
    >
      <div className="px-2 py-1.5">
        <p className="truncate font-medium">{data?.user.name || data?.user.email}</p>
        <p className="truncate text-faint text-sm">{data?.user.name ? data.user.email : data?.team?.name}</p>
      </div>
      <MenuSeparator />
      <ThemeChoice />
      <MenuSeparator />
      <MenuItem asChild>
        <PageLink href={paths.settings}>
          <Settings /> Settings
        </PageLink>
      </MenuItem>
      <MenuItem onSelect={leave}>
        <LogOut /> Sign out
      </MenuItem>
    </Menu>
  )
}
