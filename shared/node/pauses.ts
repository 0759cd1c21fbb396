export interface Pauses {
  /** Milliseconds until the next attempt: doubled each time, up to the maximum. */
  next(): number
  /** Call after a success: resets the pause to the shortest. */
  reset(): void
}

/**
 * Exponential backoff with jitter: each pause is random in the upper half of its step, so that clients of the same failed server do not return
 * at once.
 */
export function growingPauses({ firstMs, longestMs }: { firstMs: number; longestMs: number }): Pauses {
  let stepMs = firstMs
  return {
    next() {
      const pause = stepMs * (0.5 + Math.random() / 2)
      stepMs = Math.min(longestMs, stepMs * 2)
      return pause
    },
    reset() {
      stepMs = firstMs
    },
  }
}
