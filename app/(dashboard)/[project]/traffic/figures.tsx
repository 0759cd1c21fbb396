import { Card } from '@/app/components/ui/card'
import { formatBytes } from '@/app/lib/format'
import type { TrafficSums } from '@/shared/traffic'
import { formatCount, formatMs, formatShare } from './format-traffic'

function Figure({ label, value, note, bad = false }: { label: string; value: string; note?: string; bad?: boolean }) {
  return (
    <div className="min-w-0 px-4 py-3 sm:px-5">
      <dt className="text-muted text-sm">{label}</dt>
      <dd className={bad ? 'truncate font-semibold text-bad text-xl tabular-nums' : 'truncate font-semibold text-xl tabular-nums'}>{value}</dd>
      <dd className="truncate text-faint text-sm tabular-nums">{note ?? '\u00a0'}</dd>
    </div>
  )
}

/** Five summary figures of the selected range. */
export function Figures({ total }: { total: TrafficSums | undefined }) {
  const requests = total?.requests ?? 0
  const errors = total?.statuses[5] ?? 0
  const text = (value: string) => (total ? value : '–')
  return (
    <Card className="mb-4">
      <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-xl bg-line *:bg-surface *:last:col-span-2 sm:grid-cols-3 lg:grid-cols-5 lg:*:last:col-span-1">
        <Figure label="Requests" value={text(formatCount(requests))} />
        <Figure label="Server errors" value={text(formatShare(errors, requests))} note={text(`${formatCount(errors)} answers`)} bad={errors > 0} />
        <Figure label="Median time" value={text(formatMs(total?.p50 ?? null))} note={text(`p99 ${formatMs(total?.p99 ?? null)}`)} />
        <Figure label="Sent" value={text(formatBytes(total?.bytesOut ?? 0))} note={text(`${formatBytes(total?.bytesIn ?? 0)} received`)} />
        <Figure
          label="From cache"
          value={text(formatShare(total?.cacheHits ?? 0, requests))}
          note={text(`${formatCount(total?.cacheHits ?? 0)} requests`)}
        />
      </dl>
    </Card>
  )
}
