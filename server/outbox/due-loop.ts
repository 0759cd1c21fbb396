import type { Logger } from 'pino'
import { growingPauses } from '@/shared/node/pauses'
import type { Change, ChangeBus } from '../events/bus'

export interface DueLoop {
  /** Looks for work now. */
  wake(): void
  stop(): Promise<void>
}

/** Longest wait: bounds the delay of work whose notification was lost. */
const longestIdleMs = 15_000
/** Longest wait while the change bus is disconnected. */
const pollMs = 2_000

/**
 * Runs `round` whenever a change of interest is published and when the next work is due. `round` returns the milliseconds until then; a
 * round that fails (no database) is tried again after growing pauses, and logged once per outage.
 */
export function startDueLoop(options: {
  what: string
  round: (signal: AbortSignal) => Promise<number>
  isOfInterest: (change: Change) => boolean
  bus: Pick<ChangeBus, 'listen' | 'isListening'>
  logger: Pick<Logger, 'warn' | 'info'>
}): DueLoop {
  const { what, round, isOfInterest, bus, logger } = options
  const stopping = new AbortController()
  const pauses = growingPauses({ firstMs: 100, longestMs: 5_000 })
  let failures = 0
  let isWoken = false
  let wakeUp = () => {}
  const wake = () => {
    isWoken = true
    wakeUp()
  }
  const work = async (): Promise<number> => {
    try {
      const pause = await round(stopping.signal)
      if (failures > 0) logger.info({ failures }, `${what}: works again`)
      failures = 0
      pauses.reset()
      return Math.min(pause, bus.isListening() ? longestIdleMs : pollMs)
    } catch (error) {
      if (failures++ === 0 && !stopping.signal.aborted) logger.warn({ err: error }, `${what}: failed; trying again until it works`)
      return pauses.next()
    }
  }
  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms))
      wakeUp = () => {
        clearTimeout(timer)
        resolve()
      }
      if (isWoken || stopping.signal.aborted) wakeUp()
    })
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      isWoken = false
      await sleep(await work())
    }
  })()
  const listening = (async () => {
    // null: changes may have been missed.
    for await (const _ of bus.listen(isOfInterest, stopping.signal)) wake()
  })()
  return {
    wake,
    async stop() {
      stopping.abort(new Error(`${what} stops`))
      wakeUp()
      await Promise.all([loop, listening])
    },
  }
}
