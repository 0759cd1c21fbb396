'use client'
import { Search } from 'lucide-react'
import { cn } from '@/app/lib/cn'
import { inputLook } from './field'

/** Search field that filters the list below. */
export function SearchField({
  label,
  value,
  onValue,
  className,
}: {
  label: string
  value: string
  onValue: (value: string) => void
  className?: string
}) {
  return (
    <label className={cn('relative block', className)}>
      <span className="sr-only">{label}</span>
      <Search className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-faint" aria-hidden />
      <input
        type="search"
        value={value}
        onChange={(event) => onValue(event.target.value)}
        placeholder={label}
        className={cn(inputLook, 'h-9 pl-8.5')}
      />
    </label>
  )
}
