'use client'
import { Card } from '@/app/components/ui/card'
import { formatBytes } from '@/app/lib/format'
import type { TrafficRange, TrafficSeries } from '@/shared/traffic'
import { Chart, type ChartLine } from './chart'
import { formatCount, formatMoment, formatMs, formatTick } from './format-traffic'

// The most important statuses are at the bottom of the stack, where heights are easiest to compare.
const classes = [
  { label: '5xx', index: 5, color: 'var(--bad-dot)' },
  { label: '4xx', index: 4, color: 'var(--warn-dot)' },
  { label: '3xx', index: 3, color: 'var(--accent)' },
  { label: '2xx', index: 2, color: 'var(--good-dot)' },
  { label: '1xx', index: 1, color: 'var(--accent-text)' },
  { label: 'left early', index: 0, color: 'var(--faint)' },
] as const
const alwaysShown = new Set([2, 4, 5])

function statusLines({ points, total }: TrafficSeries): ChartLine[] {
  return classes
    .filter(({ index }) => alwaysShown.has(index) || (total.statuses[index] ?? 0) > 0)
    .map(({ label, index, color }) => ({ label, color, values: points.map((point) => point.statuses[index] ?? 0) }))
}

const latencyLines = ({ points }: TrafficSeries): ChartLine[] => [
  { label: 'p50', color: 'var(--accent)', values: points.map((point) => point.p50) },
  { label: 'p95', color: 'var(--warn-dot)', values: points.map((point) => point.p95) },
  { label: 'p99', color: 'var(--bad-dot)', values: points.map((point) => point.p99) },
]

const byteLines = ({ points }: TrafficSeries): ChartLine[] => [
  { label: 'sent', color: 'var(--accent)', values: points.map((point) => point.bytesOut) },
  { label: 'received', color: 'var(--good-dot)', values: points.map((point) => point.bytesIn) },
]

/** Charts of requests by status, latency and bytes. */
export function Charts({ series, range }: { series: TrafficSeries | undefined; range: TrafficRange }) {
  const ticks = series?.points.map((point) => formatTick(point.at, range)) ?? []
  const moments = series?.points.map((point) => formatMoment(point.at, range)) ?? []
  const charts = [
    { title: 'Requests', kind: 'bars', lines: series ? statusLines(series) : [], format: formatCount },
    { title: 'Time to answer', kind: 'lines', lines: series ? latencyLines(series) : [], format: formatMs },
    { title: 'Bytes', kind: 'bars', lines: series ? byteLines(series) : [], format: formatBytes, binary: true },
  ] as const
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      {charts.map(({ title, ...chart }) => (
        <Card key={title} className={title === 'Requests' ? 'p-4 sm:p-5 lg:col-span-2' : 'p-4 sm:p-5'}>
          <h2 className="mb-1 font-semibold">{title}</h2>
          <Chart {...chart} label={`${title} over time`} ticks={ticks} moments={moments} />
        </Card>
      ))}
    </div>
  )
}
