import { z } from 'zod'
import { type DomainCheck, domainCheck } from '@/shared/domains'

/** Format of `Domain.checks`, written by the doctor. */
const stored = z.object({
  /** Time since which the result is unchanged: the longer, the longer the pauses between checks. */
  since: z.iso.datetime(),
  findings: z.array(domainCheck),
})
export interface StoredChecks {
  since: Date | null
  findings: DomainCheck[]
}

/** Content of another version's format counts as empty: the next check replaces it. */
export function readChecks(value: unknown): StoredChecks {
  const parsed = stored.safeParse(value)
  return parsed.success ? { since: new Date(parsed.data.since), findings: parsed.data.findings } : { since: null, findings: [] }
}

export const writeChecks = (since: Date, findings: DomainCheck[]): z.input<typeof stored> => ({ since: since.toISOString(), findings })

const second = 1000
const hour = 3600 * second
const shortestMs = 20 * second
const longestMs = 6 * hour
/** Pause while a user views the domain. */
export const watchedPauseMs = 10 * second
/** Pause without problems: the check only confirms the state. */
const settledPauseMs = 12 * hour

/** Milliseconds until the next check: an eighth of the time since the last change, so that recent changes are followed quickly. */
export function pauseMs(options: { settled: boolean; since: Date; now: Date; random?: number }): number {
  const { settled, since, now, random = Math.random() } = options
  const pause = settled ? settledPauseMs : Math.min(longestMs, Math.max(shortestMs, (now.getTime() - since.getTime()) / 8))
  // ±10 %: spreads the checks of domains that were added together.
  return Math.round(pause * (0.9 + 0.2 * random))
}
