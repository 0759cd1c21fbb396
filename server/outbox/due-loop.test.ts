import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Change } from '../events/bus'
import { startDueLoop } from './due-loop'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A change bus that never publishes; `isListening` says whether it is connected. */
function silentBus(isListening: boolean) {
  return {
    isListening: () => isListening,
    async *listen(_: (change: Change) => boolean, signal: AbortSignal): AsyncGenerator<null> {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
}

function start(round: () => Promise<number>, isListening = true) {
  const warnings: string[] = []
  const logger = { warn: (_: unknown, text?: string) => void warnings.push(text ?? ''), info: () => {} }
  return { loop: startDueLoop({ what: 'x', round, isOfInterest: () => true, bus: silentBus(isListening), logger }), warnings }
}

test('an outage of the database ends no loop: it is tried again until it works, and logged once', async () => {
  let rounds = 0
  const { loop, warnings } = start(async () => {
    if (++rounds < 8) throw new Error('no database')
    return Number.POSITIVE_INFINITY
  })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(rounds).toBeGreaterThanOrEqual(8)
  expect(warnings).toEqual(['x: failed; trying again until it works'])
  await loop.stop()
})

test('a lost notification delays work by 15 s at most, and by 2 s while the bus is disconnected', async () => {
  for (const [isListening, ms] of [
    [true, 15_000],
    [false, 2_000],
  ] as const) {
    let rounds = 0
    const { loop } = start(async () => {
      rounds++
      return Number.POSITIVE_INFINITY
    }, isListening)
    await vi.advanceTimersByTimeAsync(ms - 1)
    expect(rounds).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(rounds).toBe(2)
    await loop.stop()
  }
})

test('a wake-up during a round is not lost', async () => {
  let rounds = 0
  let finish = () => {}
  const { loop } = start(async () => {
    rounds++
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    return Number.POSITIVE_INFINITY
  })
  await vi.advanceTimersByTimeAsync(0)
  loop.wake()
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(rounds).toBe(2)
  const stopped = loop.stop()
  finish()
  await stopped
})
