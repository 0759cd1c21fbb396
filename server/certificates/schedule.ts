/** When a certificate is renewed and when a failed attempt is made again: pure arithmetic, all times in milliseconds since 1970. */

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Let's Encrypt's own advice: 1 min, 10 min, 100 min, then daily. */
const backoffMs = [minuteMs, 10 * minuteMs, 100 * minuteMs, dayMs] as const
/** Asks in vain a name may cost within an hour; CAs count 5 (Let's Encrypt: failed validations per hostname and hour). */
export const vainAsksPerHour = 5
export const vainWindowMs = hourMs
/**
 * First certificates of one name and CA within a week. CAs count all of them (Let's Encrypt: 5), and the last is for the renewal; the
 * renewals themselves are bounded by their time.
 */
export const firstsPerWeek = 4
export const firstsWindowMs = 7 * dayMs

export interface RenewalInfo {
  /** The window the CA suggests (RFC 9773 §4.1). */
  start: number
  end: number
  explanationUrl: string | null
  /** Chosen once per window, uniformly, so that not everybody comes at its start (RFC 9773 §4.2). */
  selectedAt: number
  /** When the CA is asked again for the window. */
  nextPollAt: number
}

export interface Lifetime {
  notBefore: number
  notAfter: number
}

/**
 * When to renew: as the CA suggests, else with a third of the lifetime left (30 days of 90), up to a tenth of that third earlier, so that
 * what was issued together is not renewed together. A suggestion that leaves less than a tenth of the lifetime is not followed.
 * What was asked for at `askedAt`, by our clock, lasts a day or a tenth of its life whatever is suggested: a CA whose windows are always
 * over, or a clock of ours that runs ahead, would have it renewed without end. `random` in [0, 1).
 */
export function renewAt(life: Lifetime, info: RenewalInfo | null, random: number, askedAt = life.notBefore): number {
  const length = life.notAfter - life.notBefore
  const followed = info !== null && info.selectedAt <= life.notAfter - length / 10
  const wanted = followed ? info.selectedAt : life.notAfter - length / 3 - (length / 30) * random
  return Math.round(Math.max(wanted, askedAt + Math.min(dayMs, length / 10)))
}

/**
 * How long to wait after the `failures`-th failure in a row (≥ 1), jittered by up to a tenth. While a certificate is still valid never more
 * than an eighth of what is left, so that a short-lived one gets several chances before it expires; never below `floorMs`.
 */
export function backoff(failures: number, options: { now: number; notAfter: number | null; random: number; floorMs?: number }): number {
  const base = backoffMs[Math.min(Math.max(failures, 1), backoffMs.length) - 1] ?? dayMs
  const left = options.notAfter === null ? 0 : options.notAfter - options.now
  const bounded = left > 0 ? Math.min(base, left / 8) : base
  return Math.round(Math.max(bounded, options.floorMs ?? 1_000) * (1 + options.random / 10))
}

/**
 * When the name may be asked for again at the earliest, given when its asks in vain of the last hour began. null: now.
 * An ask that is under way counts as one in vain until it has succeeded.
 */
export function allowedAt(vainAsks: readonly number[], now: number): number | null {
  const recent = vainAsks.filter((at) => at > now - vainWindowMs).sort((a, b) => b - a)
  const decisive = recent[vainAsksPerHour - 1]
  return decisive === undefined ? null : decisive + vainWindowMs
}

/**
 * How long to wait after a network fault when the name was asked for `vainAsks` times within the last hour: who was never heard is asked
 * again at once, and five orders that a CA hangs up on are spread over minutes. `leftMs`: of the certificate in use, which bounds it as
 * `backoff` is bounded.
 */
export function outagePause(vainAsks: number, leftMs: number): number {
  const pause = 1_000 * 4 ** Math.min(vainAsks, vainAsksPerHour)
  return leftMs > 0 ? Math.min(pause, Math.max(1_000, leftMs / 8)) : pause
}

/** When a first certificate may be asked for at the earliest, given when those of the last week were. null: now. */
export function firstAllowedAt(issued: readonly number[], now: number): number | null {
  const recent = issued.filter((at) => at > now - firstsWindowMs).sort((a, b) => b - a)
  const decisive = recent[firstsPerWeek - 1]
  return decisive === undefined ? null : decisive + firstsWindowMs
}

/** A point of the window, chosen uniformly; now when the window is over. */
export function selectWithin(window: { start: number; end: number }, now: number, random: number): number {
  if (window.end <= now) return now
  const start = Math.max(window.start, now)
  return Math.round(start + (window.end - start) * random)
}

/** `Retry-After` of renewal information, within what is reasonable: asked at least daily, at most every minute (RFC 9773 §4.3: 6 h preset). */
export function pollDelay(retryAfterMs: number | null): number {
  return Math.min(Math.max(retryAfterMs ?? 6 * hourMs, minuteMs), dayMs)
}
