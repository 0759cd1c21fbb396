/** Bounds how many apps boot at the same time: more of them would only slow each other down until their health checks run out. */
export interface StartGate {
  /** Resolves when there is room, with the function that gives the room back. @throws the signal's reason */
  enter(signal?: AbortSignal): Promise<() => void>
}

/** An app that does not answer holds its place no longer than this: the apps behind it must not wait for its whole start period. */
const bootShareMs = 5_000

/** A gate for `limit` apps, first come, first served. */
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
