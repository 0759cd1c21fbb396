'use client'
import { useSyncExternalStore } from 'react'
import { exactTime, formatAge, formatDay, formatDuration } from '@/app/lib/format'
import { useNow } from '@/app/lib/use-now'

/** "4 min ago", kept up to date; the exact time on hover. */
export function RelativeTime({ value, className }: { value: string; className?: string }) {
  const now = useNow(20_000)
  const zone = useZone()
  return (
    // The server's clock differs from the browser's: the first client render is the one that counts.
    <time dateTime={value} title={exactTime(value, zone)} className={className} suppressHydrationWarning>
      {formatAge(value, now, zone)}
    </time>
  )
}

/** A day in the zone of the person who reads. */
export function Day({ value }: { value: string }) {
  return <time dateTime={value}>{formatDay(value, useZone())}</time>
}

const never = () => () => {}

/** UTC on the server and while the page is taken over, then that of the browser (undefined): both render the same at first. */
const useZone = (): string | undefined =>
  useSyncExternalStore(
    never,
    () => undefined,
    () => 'UTC',
  )

/** Time from `from` to `to`; counts up while `to` is null. */
export function Duration({ from, to, className }: { from: string; to: string | null; className?: string }) {
  const now = useNow(to === null ? 500 : null)
  const ms = (to === null ? now : Date.parse(to)) - Date.parse(from)
  return (
    <span className={className ? `tabular-nums ${className}` : 'tabular-nums'} suppressHydrationWarning>
      {to === null && ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : formatDuration(ms)}
    </span>
  )
}
