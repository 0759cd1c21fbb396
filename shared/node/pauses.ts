export interface Pauses {
  /** How long to wait before the next attempt, in ms: twice as long each time, up to the longest. */
  next(): number
  /** Call after a success: resets the pause to the shortest. */
  reset(): void
}

/** Pauses between attempts that fail, drawn from the upper half of each step so that many who lost the same peer do not return at once. */
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
