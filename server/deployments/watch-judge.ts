import { latencyBoundsMs } from '@/shared/link'
import { percentile } from '@/shared/traffic'
import type { WatchView } from '@/shared/watch'

/** Answers of one version over a time. */
export interface Sample {
  requests: number
  /** Answers with a status of 500 or more. */
  errors: number
  /** Counts by `latencyBoundsMs`. */
  latency: number[]
  seconds: number
}

/** With fewer answers nothing is said about a version. */
export const minRequests = 30
/** One-sided confidence of 99 %: the figures are looked at again and again. */
const z = 2.33
/** Differences below this are no reason to go back, however many times slower they make a fast app. */
const latencyFloorMs = 50
const slowShare = 0.05

/** Wilson's interval for a share (Wilson, "Probable inference", 1927). Exported for tests. */
export function shareBounds(count: number, total: number): { low: number; high: number } {
  if (total === 0) return { low: 0, high: 1 }
  const share = count / total
  const spread = z * z
  const middle = share + spread / (2 * total)
  const width = z * Math.sqrt((share * (1 - share)) / total + spread / (4 * total * total))
  const scale = 1 + spread / total
  return { low: Math.max(0, (middle - width) / scale), high: Math.min(1, (middle + width) / scale) }
}

/** Lower bound of how much larger the first share is (Newcombe's method 10, "Interval estimation for the difference", 1998). */
function differenceAtLeast(now: Sample, before: Sample): number {
  const [a, b] = [shareBounds(now.errors, now.requests), shareBounds(before.errors, before.requests)]
  const [p, q] = [now.errors / now.requests, before.errors / Math.max(1, before.requests)]
  return p - q - Math.hypot(p - a.low, b.high - q)
}

/** Evidence that more server errors are answered than the bound allows; null: none, or too few answers to tell. */
export function moreErrors(now: Sample, before: Sample, bounds: WatchView['bounds']): string | null {
  if (now.requests < minRequests || before.requests === 0) return null
  if (differenceAtLeast(now, before) <= bounds.errorPercent / 100) return null
  return `${shareText(now)} were server errors, against ${shareText(before)} of the version before. The bound is ${bounds.errorPercent} points more.`
}

/**
 * Evidence that the 95th percentile is above the bound: surely more than 5 % of the answers took longer. Answers count as longer by whole
 * buckets of the histogram, so that its width never speaks against a version.
 */
export function slower(now: Sample, before: Sample, bounds: WatchView['bounds']): string | null {
  const usual = percentile(before.latency, 1 - slowShare)
  if (now.requests < minRequests || before.requests < minRequests || usual === null) return null
  const limit = Math.max(usual * bounds.latencyFactor, usual + latencyFloorMs)
  const slow = now.latency.reduce((sum, count, i) => sum + (i > 0 && (latencyBoundsMs[i - 1] ?? 0) >= limit ? count : 0), 0)
  if (shareBounds(slow, now.requests).low <= slowShare) return null
  const p95 = percentile(now.latency, 1 - slowShare) ?? 0
  return `The 95th percentile of ${now.requests} answers in ${inSeconds(now)} was ${round(p95)} ms, against ${round(usual)} ms of the version before. The bound is ${round(limit)} ms.`
}

const shareText = (sample: Sample) =>
  `${round((100 * sample.errors) / Math.max(1, sample.requests))} % of ${sample.requests} answers in ${inSeconds(sample)}`
const inSeconds = ({ seconds }: Sample) => (seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`)
const round = (value: number) => Math.round(value * 10) / 10

/** The answers between two counts of the same version. */
export function between(from: Sample, to: Sample): Sample {
  return {
    requests: to.requests - from.requests,
    errors: to.errors - from.errors,
    latency: to.latency.map((count, i) => count - (from.latency[i] ?? 0)),
    seconds: to.seconds - from.seconds,
  }
}
