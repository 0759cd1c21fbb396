/** Computes when a certificate is renewed and when a failed attempt is retried. Pure functions; all times in milliseconds since 1970. */

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Let's Encrypt's own advice: 1 min, 10 min, 100 min, then daily. */
const backoffMs = [minuteMs, 10 * minuteMs, 100 * minuteMs, dayMs] as const
/** Failed attempts allowed per name and hour, below the CAs' limit of 5 (Let's Encrypt: failed validations per hostname and hour). */
export const failedAttemptsPerHour = 5
export const failureWindowMs = hourMs
/**
 * First certificates allowed per name and CA within a week. CAs count all certificates (Let's Encrypt: 5), so one is reserved for a
 * renewal; renewals are limited by their schedule.
 */
export const firstsPerWeek = 4
export const firstsWindowMs = 7 * dayMs

export interface RenewalInfo {
  /** The window the CA suggests (RFC 9773 §4.1). */
  start: number
  end: number
  explanationUrl: string | null
  /** A random time within the window, selected once per window, so that renewals do not all come at its start (RFC 9773 §4.2). */
  selectedAt: number
  /** When the CA is polled again for the window. */
  nextPollAt: number
}

export interface Lifetime {
  notBefore: number
  notAfter: number
}

/**
 * When to renew: at the time the CA suggests, else with a third of the lifetime left (30 days of 90), up to a tenth of that third earlier,
 * so that certificates issued together are not renewed together. A suggestion that leaves less than a tenth of the lifetime is ignored.
 * Never earlier than a day, or a tenth of the lifetime, after `askedAt` by our clock: a CA whose windows are always in the past, or a clock
 * that runs ahead, would otherwise cause endless renewals. `random` in [0, 1).
 */
export function renewAt(life: Lifetime, info: RenewalInfo | null, random: number, askedAt = life.notBefore): number {
  const length = life.notAfter - life.notBefore
  const followed = info !== null && info.selectedAt <= life.notAfter - length / 10
  const wanted = followed ? info.selectedAt : life.notAfter - length / 3 - (length / 30) * random
  return Math.round(Math.max(wanted, askedAt + Math.min(dayMs, length / 10)))
}

/**
 * Pause after the `failures`-th consecutive failure (≥ 1), jittered by up to a tenth. While a certificate is still valid, at most an eighth
 * of its remaining time, so that a short-lived certificate gets several retries before it expires; never below `floorMs`.
 */
export function backoff(failures: number, options: { now: number; notAfter: number | null; random: number; floorMs?: number }): number {
  const base = backoffMs[Math.min(Math.max(failures, 1), backoffMs.length) - 1] ?? dayMs
  const left = options.notAfter === null ? 0 : options.notAfter - options.now
  const bounded = left > 0 ? Math.min(base, left / 8) : base
  return Math.round(Math.max(bounded, options.floorMs ?? 1_000) * (1 + options.random / 10))
}

/**
 * Earliest time for the next attempt for a name, given the start times of its failed attempts of the last hour. null: now. An attempt in
 * progress counts as failed until it has succeeded.
 */
export function allowedAt(failedAttempts: readonly number[], now: number): number | null {
  const recent = failedAttempts.filter((at) => at > now - failureWindowMs).sort((a, b) => b - a)
  const decisive = recent[failedAttemptsPerHour - 1]
  return decisive === undefined ? null : decisive + failureWindowMs
}

/**
 * Pause after a network fault, given the number of attempts for the name within the last hour: without earlier attempts the retry is
 * immediate, and five orders whose connections the CA drops are spread over minutes. `leftMs`: remaining validity of the certificate in
 * use, which limits the pause as in `backoff`.
 */
export function outagePause(failedAttempts: number, leftMs: number): number {
  const pause = 1_000 * 4 ** Math.min(failedAttempts, failedAttemptsPerHour)
  return leftMs > 0 ? Math.min(pause, Math.max(1_000, leftMs / 8)) : pause
}

/** Earliest time to order a first certificate, given the issue times of those of the last week. null: now. */
export function firstAllowedAt(issued: readonly number[], now: number): number | null {
  const recent = issued.filter((at) => at > now - firstsWindowMs).sort((a, b) => b - a)
  const decisive = recent[firstsPerWeek - 1]
  return decisive === undefined ? null : decisive + firstsWindowMs
}

/** A random time within the window; now when the window is over. */
export function selectWithin(window: { start: number; end: number }, now: number, random: number): number {
  if (window.end <= now) return now
  const start = Math.max(window.start, now)
  return Math.round(start + (window.end - start) * random)
}

/** `Retry-After` of renewal information, limited to between a minute and a day (RFC 9773 §4.3: 6 h by default). */
export function pollDelay(retryAfterMs: number | null): number {
  return Math.min(Math.max(retryAfterMs ?? 6 * hourMs, minuteMs), dayMs)
}
