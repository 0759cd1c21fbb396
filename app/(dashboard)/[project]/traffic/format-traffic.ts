import type { TrafficRange } from '@/shared/traffic'

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** "950", "9,400", "12.4K". */
export const formatCount = (count: number): string => (count < 10_000 ? whole.format(count) : compact.format(count))

/** "0.8 ms", "12 ms", "1.4 s"; a dash if not measured. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '–'
  if (ms === 0) return '0 ms'
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

/** "0 %", "0.04 %", "12 %": small shares keep a significant digit. */
export function formatShare(part: number, of: number): string {
  if (of === 0 || part === 0) return '0 %'
  const percent = (100 * part) / of
  return `${percent >= 10 ? Math.round(percent) : percent >= 1 ? percent.toFixed(1) : percent.toPrecision(1)} %`
}

const time = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' })
const dayAndTime = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })

/** Axis label of a moment: the time for ranges up to a day, else the date. */
export const formatTick = (at: string, range: TrafficRange): string => (range === '7d' || range === '30d' ? day : time).format(new Date(at))
export const formatMoment = (at: string, range: TrafficRange): string => (range === '1h' || range === '6h' ? time : dayAndTime).format(new Date(at))
