/** Limits the number of apps that boot at the same time: too many slow each other down until their health checks time out. */
export interface StartGate {
  /** Waits for a free slot; resolves with the function that releases the slot. @throws the signal's reason */
  enter(signal?: AbortSignal): Promise<() => void>
}

/** Longest time an app holds a slot, so that an unresponsive app does not delay the queue for its whole start period. */
const bootShareMs = 5_000

/** Creates a FIFO gate with `limit` slots. */
export function createStartGate(limit: number, shareMs: number = bootShareMs): StartGate {
  let free = limit
  const waiting: (() => void)[] = []
  const leave = () => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  return {
    async enter(signal) {
      signal?.throwIfAborted()
      if (free > 0) free--
      else await queued(waiting, signal)
      let left = false
      const once = () => {
        if (left) return
        left = true
        clearTimeout(timer)
        leave()
      }
      const timer = setTimeout(once, shareMs)
      return once
    },
  }
}

function queued(waiting: (() => void)[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const enter = () => {
      signal?.removeEventListener('abort', giveUp)
      resolve()
    }
    const giveUp = () => {
      waiting.splice(waiting.indexOf(enter), 1)
      reject(signal?.reason)
    }
    waiting.push(enter)
    signal?.addEventListener('abort', giveUp, { once: true })
  })
}
