'use client'
import { cn } from '@/app/lib/cn'
import { type TrafficRange, trafficRanges } from '@/shared/traffic'

const names: Record<TrafficRange, string> = {
  '1h': 'Last hour',
  '6h': 'Last 6 hours',
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
}

/** Selects the time range of the charts. */
export function RangeChoice({ value, onChange }: { value: TrafficRange; onChange: (range: TrafficRange) => void }) {
  return (
    <fieldset className="flex rounded-md border border-line-strong/70 bg-surface p-0.5 shadow-card">
      <legend className="sr-only">Range</legend>
      {(Object.keys(trafficRanges) as TrafficRange[]).map((range) => (
        <label
          key={range}
          title={names[range]}
          className={cn(
            'relative rounded px-2.5 py-1 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent',
            range === value ? 'bg-hover font-medium text-fg' : 'text-muted hover:text-fg',
          )}
        >
          <input
            type="radio"
            name="range"
            className="absolute inset-0 cursor-pointer opacity-0"
            aria-label={names[range]}
            checked={range === value}
            onChange={() => onChange(range)}
          />
          {range}
        </label>
      ))}
    </fieldset>
  )
}
