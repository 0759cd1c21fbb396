'use client'
import { ChevronDown } from 'lucide-react'
import { Button } from './ui/button'
import { Menu, MenuItem } from './ui/menu'

/** Other ways to build, as a menu next to the button that builds. */
export function BuildOptions({ onWithoutCache, disabled }: { onWithoutCache: () => void; disabled?: boolean }) {
  return (
    <Menu
      trigger={
        <Button size="icon" aria-label="Build options" disabled={disabled}>
          <ChevronDown />
        </Button>
      }
    >
      <MenuItem onSelect={onWithoutCache} title="Builds without results, packages and caches of earlier builds">
        Build without cache
      </MenuItem>
    </Menu>
  )
}
