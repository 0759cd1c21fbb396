'use client'
import { RelativeTime } from '@/app/components/ui/time'
import { formatDuration } from '@/app/lib/format'
import { useNow } from '@/app/lib/use-now'
import type { DomainView } from '@/shared/domains'

/** Whole seconds, rounded up. */
const countdown = (ms: number): string => (ms < 60_000 ? `${Math.ceil(ms / 1000)} s` : formatDuration(ms))

/** Times of the last and the next check. */
export function NextCheck({ domain, checking }: { domain: DomainView; checking: boolean }) {
  const now = useNow(1000)
  const wait = domain.nextCheckAt ? Date.parse(domain.nextCheckAt) - now : null
  const running = checking || (wait !== null && wait <= 0)
  return (
    <p className="mt-1 text-muted text-sm tabular-nums" suppressHydrationWarning>
      {domain.checkedAt ? (
        <>
          Checked <RelativeTime value={domain.checkedAt} />
        </>
      ) : (
        'Not checked yet'
      )}
      {running ? ' · checking now…' : wait === null ? '' : ` · next check in ${countdown(wait)}`}
      {/* A live region with the countdown would be announced every second. */}
      <span role="status" className="sr-only">
        {running ? 'Checking now' : ''}
      </span>
    </p>
  )
}
