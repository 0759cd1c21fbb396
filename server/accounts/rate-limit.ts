import { AppError } from '@/shared/errors'

/** Buckets kept at once; beyond that the oldest go. */
const maxKeys = 20_000

/**
 * Counts attempts in a fixed window, in memory: one control process answers every sign-in, and a restart that forgets the counts
 * costs an attacker more time than it gives.
 */
export function createRateLimit(options: { attempts: number; windowMs: number; now?: () => number }) {
  const { attempts, windowMs, now = Date.now } = options
  const buckets = new Map<string, { count: number; endsAt: number }>()
  return {
    /** Counts one attempt. @throws AppError ERR_RATE_LIMITED beyond the limit */
    take(key: string): void {
      const at = now()
      let bucket = buckets.get(key)
      if (!bucket || bucket.endsAt <= at) {
        bucket = { count: 0, endsAt: at + windowMs }
        buckets.delete(key)
        buckets.set(key, bucket)
        const oldest = buckets.size > maxKeys ? buckets.keys().next().value : undefined
        if (oldest !== undefined) buckets.delete(oldest)
      }
      if (++bucket.count <= attempts) return
      const retryAfterSeconds = Math.ceil((bucket.endsAt - at) / 1000)
      const minutes = Math.ceil(retryAfterSeconds / 60)
      throw new AppError('ERR_RATE_LIMITED', 'Too many attempts.', {
        nextAction: `Try again in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}.`,
        retryAfterSeconds,
      })
    },
    /** After a success. */
    forget(key: string): void {
      buckets.delete(key)
    },
  }
}
