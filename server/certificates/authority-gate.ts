/**
 * Circuit breaker of a CA: no order is sent during an outage, because each order counts against the CA's rate limits per hostname. After
 * a failure, requests for the ACME directory, which contain no hostname, detect when the CA is available again.
 */
export interface AuthorityGate {
  /** True: orders may be sent to the CA. Probes the CA first if its last failure is older than the current pause. */
  open(directory: string, signal: AbortSignal): Promise<boolean>
  /** Records a failed order. */
  failed(directory: string): void
  /** Unix time in ms of the next probe; null: no outage is known. */
  nextLookAt(directory: string): number | null
}

interface Dark {
  failures: number
  until: number
  /** The probe in progress, shared by all callers. */
  looking: Promise<boolean> | null
}

const firstPauseMs = 1_000

export function createAuthorityGate(options: {
  look: (directory: string, signal: AbortSignal) => Promise<unknown>
  now: () => number
  random: () => number
  /** Longest pause between two probes; shorter while a certificate is about to expire. */
  maxPauseMs: () => number
}): AuthorityGate {
  const { look, now, random, maxPauseMs } = options
  const dark = new Map<string, Dark>()
  const pause = (failures: number) => Math.min(firstPauseMs * 2 ** Math.min(failures - 1, 12), maxPauseMs()) * (0.75 + random() / 2)
  const failed = (directory: string) => {
    const entry = dark.get(directory) ?? { failures: 0, until: 0, looking: null }
    // Concurrent orders that fail in the same outage count as one failure.
    if (entry.until > now() && !entry.looking) return
    entry.failures += 1
    entry.until = now() + pause(entry.failures)
    dark.set(directory, entry)
  }
  async function lookAgain(directory: string, entry: Dark, signal: AbortSignal): Promise<boolean> {
    try {
      await look(directory, signal)
      dark.delete(directory)
      return true
    } catch {
      failed(directory)
      return false
    } finally {
      entry.looking = null
    }
  }
  return {
    failed,
    nextLookAt: (directory) => dark.get(directory)?.until ?? null,
    async open(directory, signal) {
      const entry = dark.get(directory)
      if (!entry) return true
      if (entry.looking) return entry.looking
      if (entry.until > now()) return false
      entry.looking = lookAgain(directory, entry, signal)
      return entry.looking
    },
  }
}
