import { afterEach, expect, test, vi } from 'vitest'
import { inSlices, Slices } from './slices'

afterEach(() => {
  vi.useRealTimers()
})

/** Work whose every step takes a millisecond of a clock that stands still otherwise. */
function* steps(count: number, done: number[]): Generator<void, void> {
  for (let i = 0; i < count; i++) {
    vi.setSystemTime(Date.now() + 1)
    vi.advanceTimersByTime(1)
    done.push(i)
    yield
  }
}

test('work that is small is done at once', () => {
  const done: number[] = []
  inSlices(
    (function* () {
      done.push(1)
      yield
      done.push(2)
    })(),
  )
  expect(done).toEqual([1, 2])
})

test('work that is long leaves turns to others, and comes to its end', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] })
  const done: number[] = []
  inSlices(steps(20, done))
  const turns: number[] = []
  while (done.length < 20) {
    await new Promise((resolve) => setImmediate(resolve))
    turns.push(done.length)
  }
  expect(turns.length).toBeGreaterThan(5)
})

test('work that was ended does nothing more', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] })
  const done: number[] = []
  const end = inSlices(steps(20, done))
  end()
  const before = done.length
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  expect(done).toHaveLength(before)
})

test('after each slice everything else that waits has its turn', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const slices = new Slices(2)
  let others = 0
  setImmediate(() => others++)
  expect(slices.over).toBe(false)
  vi.advanceTimersByTime(2)
  expect(slices.over).toBe(true)
  await slices.next()
  expect(others).toBe(1)
  expect(slices.over).toBe(false)
})
