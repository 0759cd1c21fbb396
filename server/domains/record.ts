import { z } from 'zod'
import { type DomainCheck, domainCheck } from '@/shared/domains'

/** `Domain.checks`, as the doctor writes it. */
const stored = z.object({
  /** Since when the outcome is the same: pauses between checks grow from here. */
  since: z.iso.datetime(),
  findings: z.array(domainCheck),
})
export interface StoredChecks {
  since: Date | null
  findings: DomainCheck[]
}

/** What an older version wrote and this one does not understand is as good as nothing: the next check writes it anew. */
export function readChecks(value: unknown): StoredChecks {
  const parsed = stored.safeParse(value)
  return parsed.success ? { since: new Date(parsed.data.since), findings: parsed.data.findings } : { since: null, findings: [] }
}

export const writeChecks = (since: Date, findings: DomainCheck[]): z.input<typeof stored> => ({ since: since.toISOString(), findings })

const second = 1000
const hour = 3600 * second
const shortestMs = 20 * second
const longestMs = 6 * hour
/** While somebody looks at it. */
export const watchedPauseMs = 10 * second
/** Nothing to put right: only that it still holds. */
const settledPauseMs = 12 * hour

/** Milliseconds until the next check: an eighth of the time for which nothing has changed, so that a change made soon is seen soon. */
export function pauseMs(options: { settled: boolean; since: Date; now: Date; random?: number }): number {
  const { settled, since, now, random = Math.random() } = options
  const pause = settled ? settledPauseMs : Math.min(longestMs, Math.max(shortestMs, (now.getTime() - since.getTime()) / 8))
  // ±10 %: domains that were added together are not checked together for ever.
  return Math.round(pause * (0.9 + 0.2 * random))
}
