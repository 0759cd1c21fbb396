'use client'
import { Monitor, Moon, Sun } from 'lucide-react'
import { useTheme } from 'next-themes'
import { MenuChoice, MenuChoices, MenuLabel } from '@/app/components/ui/menu'

const themes = [
  { value: 'light', label: 'Light', Icon: Sun },
  { value: 'dark', label: 'Dark', Icon: Moon },
  { value: 'system', label: 'System', Icon: Monitor },
]

/** Menu items for the theme: light, dark, system. */
export function ThemeChoice() {
  const { theme, setTheme } = useTheme()
  return (
    <>
      <MenuLabel>Theme</MenuLabel>
      <MenuChoices value={theme} onValueChange={setTheme}>
        {themes.map(({ value, label, Icon }) => (
          <MenuChoice key={value} value={value}>
            <Icon /> {label}
          </MenuChoice>
        ))}
      </MenuChoices>
    </>
  )
}
