'use client'
import { type PointerEvent, useEffect, useRef, useState } from 'react'
import { labelIndices, niceScale } from './scale'

export interface ChartLine {
  label: string
  /** A CSS colour. */
  color: string
  /** A value for each point; null: not measured. */
  values: readonly (number | null)[]
}

interface ChartProps {
  /** Accessible name for screen readers. */
  label: string
  /** `bars` are stacked; `lines` are not. */
  kind: 'bars' | 'lines'
  lines: readonly ChartLine[]
  ticks: readonly string[]
  moments: readonly string[]
  format: (value: number) => string
  /** Axis steps are multiples of powers of 1024. */
  binary?: boolean
}

const height = 168
const top = 8
const bottom = 20
const left = 48
const right = 4

/** Measured width of the chart, so that text and strokes keep their size at every width. */
function useWidth() {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(0)
  useEffect(() => {
    if (!box.current) return
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)))
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])
  return { box, width }
}

/** Chart of values over time. The pointer or the arrow keys select a moment. */
export function Chart(props: ChartProps) {
  const { box, width } = useWidth()
  const [at, setAt] = useState<number | null>(null)
  const count = props.ticks.length
  const inner = Math.max(0, width - left - right)
  const move = (event: PointerEvent<HTMLElement>) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left - left
    setAt(inner > 0 && count > 0 ? Math.max(0, Math.min(count - 1, Math.floor((x / inner) * count))) : null)
  }
  return (
    <figure ref={box as never} className="relative touch-pan-y" onPointerMove={move} onPointerLeave={() => setAt(null)}>
      <Legend lines={props.lines} at={at} format={props.format} moment={at === null ? null : (props.moments[at] ?? null)} />
      <div
        role="slider"
        tabIndex={0}
        aria-label={props.label}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, count - 1)}
        aria-valuenow={at ?? count - 1}
        // Render times only in the browser: the server has another time zone.
        aria-valuetext={width > 0 ? valueText(props, at ?? count - 1) : undefined}
        className="rounded-md"
        onBlur={() => setAt(null)}
        onKeyDown={(event) => {
          const step = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0
          if (step === 0) return
          event.preventDefault()
          setAt(Math.max(0, Math.min(count - 1, (at ?? count - 1) + step)))
        }}
      >
        <svg width="100%" height={height} viewBox={`0 0 ${Math.max(1, width)} ${height}`} aria-hidden="true" className="block">
          {width > 0 ? <Plot {...props} width={width} at={at} /> : null}
        </svg>
      </div>
    </figure>
  )
}

const valueText = ({ lines, moments, format }: ChartProps, at: number) =>
  `${moments[at] ?? ''}: ${lines.map(({ label, values }) => `${label} ${readOff(values[at], format)}`).join(', ')}`

const readOff = (value: number | null | undefined, format: (value: number) => string) => (value === null || value === undefined ? '–' : format(value))

function Legend({
  lines,
  at,
  format,
  moment,
}: {
  lines: readonly ChartLine[]
  at: number | null
  format: ChartProps['format']
  moment: string | null
}) {
  return (
    <figcaption className="mb-1 flex min-h-5 flex-wrap gap-x-4 gap-y-0.5 text-muted text-sm">
      {lines.map(({ label, color, values }) => (
        <span key={label} className="inline-flex items-center gap-1.5 whitespace-nowrap">
          <span aria-hidden className="size-2 rounded-xs" style={{ background: color }} />
          {label}
          {at === null ? null : <span className="font-medium text-fg tabular-nums">{readOff(values[at], format)}</span>}
        </span>
      ))}
      {moment ? <span className="ml-auto text-faint tabular-nums">{moment}</span> : null}
    </figcaption>
  )
}

function Plot({ kind, lines, ticks, format, binary = false, width, at }: ChartProps & { width: number; at: number | null }) {
  const count = ticks.length
  const inner = width - left - right
  const step = inner / Math.max(1, count)
  const highest = Math.max(0, ...Array.from({ length: count }, (_, i) => heightAt(lines, i, kind)))
  const scale = niceScale(highest, binary)
  const y = (value: number) => top + (height - top - bottom) * (1 - value / scale.top)
  const x = (i: number) => left + i * step
  const labels = labelIndices(count, Math.floor(inner / 72))
  return (
    <>
      {scale.ticks.map((tick) => (
        <g key={tick}>
          <line x1={left} x2={width - right} y1={y(tick)} y2={y(tick)} stroke="var(--line)" strokeDasharray={tick === 0 ? undefined : '2 3'} />
          <text x={left - 8} y={y(tick)} dy="0.32em" textAnchor="end" className="fill-faint text-[11px] tabular-nums">
            {highest === 0 && tick > 0 ? '' : format(tick)}
          </text>
        </g>
      ))}
      {labels.map((i) => (
        <text key={i} x={x(i)} y={height - 5} textAnchor="start" className="fill-faint text-[11px] tabular-nums">
          {ticks[i]}
        </text>
      ))}
      {at === null ? null : <rect x={x(at)} y={top} width={step} height={height - top - bottom} fill="var(--hover)" />}
      {kind === 'bars' ? (
        <Bars lines={lines} count={count} x={x} y={y} step={step} />
      ) : (
        <Lines lines={lines} x={(i) => x(i) + step / 2} y={y} at={at} />
      )}
    </>
  )
}

const heightAt = (lines: readonly ChartLine[], i: number, kind: ChartProps['kind']): number => {
  const values = lines.map(({ values: all }) => all[i] ?? 0)
  return kind === 'bars' ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values)
}

function Bars({
  lines,
  count,
  x,
  y,
  step,
}: {
  lines: readonly ChartLine[]
  count: number
  x: (i: number) => number
  y: (v: number) => number
  step: number
}) {
  const width = Math.max(1, step - Math.min(2, step * 0.25))
  const below = Array.from({ length: count }, () => 0)
  // A single SVG path per series keeps the number of nodes small, even for a month.
  return lines.map(({ label, color, values }) => {
    const bars = below.map((base, i) => {
      const value = values[i] ?? 0
      if (value === 0) return ''
      below[i] = base + value
      // Values above zero get a minimum height, so that they stay visible.
      const high = Math.max(1, y(base) - y(base + value))
      return `M${x(i).toFixed(1)},${y(base).toFixed(1)}v${(-high).toFixed(1)}h${width.toFixed(1)}v${high.toFixed(1)}z`
    })
    return <path key={label} d={bars.join('')} fill={color} />
  })
}

/** Missing values interrupt the line; a point between two gaps is drawn as a dot. */
function Lines({ lines, x, y, at }: { lines: readonly ChartLine[]; x: (i: number) => number; y: (v: number) => number; at: number | null }) {
  return lines.map(({ label, color, values }) => {
    const point = (i: number) => `${x(i).toFixed(1)},${y(values[i] ?? 0).toFixed(1)}`
    const path = values.map((value, i) => (value === null ? '' : `${i > 0 && values[i - 1] !== null ? 'L' : 'M'}${point(i)}`)).join('')
    const alone = values.flatMap((value, i) => (value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []))
    const dots = at !== null && (values[at] ?? null) !== null ? [...alone, at] : alone
    return (
      <g key={label}>
        <path d={path} fill="none" stroke={color} strokeWidth={1.75} strokeLinejoin="round" strokeLinecap="round" />
        {[...new Set(dots)].map((i) => (
          <circle key={i} cx={x(i)} cy={y(values[i] ?? 0)} r={2.5} fill={color} />
        ))}
      </g>
    )
  })
}
