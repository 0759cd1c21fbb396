const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** Pauses after each failed attempt of a delivery: three days in all. */
const ladder = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour, 14 * hour, 15 * hour, 15 * hour]
/** Longest Retry-After that is followed (RFC 9110 §10.2.3). */
const longestRetryAfterMs = 10 * hour

/** Pause before the next attempt, ±10 % so that deliveries that failed together do not return together. null: that was the last attempt. */
export function pauseAfter(attempts: number, options: { retryAfterMs?: number | null; random?: number } = {}): number | null {
  const step = ladder[attempts - 1]
  if (step === undefined) return null
  const { retryAfterMs = null, random = Math.random() } = options
  return Math.max(step * (0.9 + 0.2 * random), Math.min(retryAfterMs ?? 0, longestRetryAfterMs))
}

/** Milliseconds of a Retry-After header, in seconds or as a date; null: none, or not valid. */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  if (header === undefined) return null
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * second
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
