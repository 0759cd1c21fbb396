'use client'
import { useSyncExternalStore } from 'react'
import { exactTime, formatAge, formatDay, formatDuration } from '@/app/lib/format'
import { useNow } from '@/app/lib/use-now'

/** "4 min ago", kept up to date; the exact time on hover. */
export function RelativeTime({ value, className }: { value: string; className?: string }) {
  const now = useNow(20_000)
  const zone = useZone()
  return (
    // Server and browser clocks differ: the first client render sets the text.
    <time dateTime={value} title={exactTime(value, zone)} className={className} suppressHydrationWarning>
      {formatAge(value, now, zone)}
    </time>
  )
}

/** A date in the time zone of the browser. */
export function Day({ value }: { value: string }) {
  return <time dateTime={value}>{formatDay(value, useZone())}</time>
}

const never = () => () => {}

/** Time zone: UTC on the server and during hydration (so that both render the same text), then the zone of the browser (undefined). */
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

/** Time left until `until`: "1 m 20 s"; the exact time on hover. */
export function Remaining({ until }: { until: string }) {
  const ms = Math.max(0, Date.parse(until) - useNow(1000))
  return (
    <time dateTime={until} title={exactTime(until, useZone())} className="tabular-nums" suppressHydrationWarning>
      {ms < 60_000 ? `${Math.ceil(ms / 1000)} s` : formatDuration(ms)}
    </time>
  )
}
