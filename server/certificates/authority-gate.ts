/**
 * Whether a CA answers, known for the CA as a whole: while it is dark nothing is ordered there, so an outage costs no name one of its
 * few asks. After a failure one request for the directory, which names nobody, finds out when it is back.
 */
export interface AuthorityGate {
  /** True when orders may go to the CA now; looks first when the last thing known is a failure whose pause is over. */
  open(directory: string, signal: AbortSignal): Promise<boolean>
  /** What an order met. */
  failed(directory: string): void
  /** ms since 1970 at which the next look is due; null: the CA is not known to be dark. */
  nextLookAt(directory: string): number | null
}

interface Dark {
  failures: number
  until: number
  /** One look at a time. */
  looking: Promise<boolean> | null
}

const firstPauseMs = 1_000

export function createAuthorityGate(options: {
  look: (directory: string, signal: AbortSignal) => Promise<unknown>
  now: () => number
  random: () => number
  /** Longest pause between two looks; a short one while something is about to expire. */
  maxPauseMs: () => number
}): AuthorityGate {
  const { look, now, random, maxPauseMs } = options
  const dark = new Map<string, Dark>()
  const pause = (failures: number) => Math.min(firstPauseMs * 2 ** Math.min(failures - 1, 12), maxPauseMs()) * (0.75 + random() / 2)
  const failed = (directory: string) => {
    const entry = dark.get(directory) ?? { failures: 0, until: 0, looking: null }
    // Orders that run side by side meet one outage together: it counts once.
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
