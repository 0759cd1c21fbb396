import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Change } from '../events/bus'
import { startWorker } from './worker'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A worker whose queue holds at most a job due in `dueMs`. Counts the worker's claims. */
function idleWorker(dueMs: () => number | null = () => null) {
  let asked = 0
  let listening = true
  const notices: (Change | null)[] = []
  let announce = () => {}
  const query = async (text: string) => {
    if (text.includes('UPDATE "Job"')) asked++
    return { rows: text.includes('AS ms') ? [{ ms: dueMs()?.toString() ?? null }] : [] }
  }
  const bus = {
    isListening: () => listening,
    async *listen() {
      for (;;) {
        while (notices.length > 0) yield notices.shift()
        await new Promise<void>((resolve) => {
          announce = resolve
        })
      }
    },
  }
  startWorker({
    pool: { query, connect: async () => ({ query, release: () => {} }) } as never,
    bus: bus as never,
    owner: 'm:1',
    logger: pino({ level: 'silent' }),
    concurrency: { build: 1, release: 1, heal: 1, prune: 1, 'git-events': 1 },
    handlers: {} as never,
  })
  return {
    asked: () => asked,
    disconnect: () => {
      listening = false
    },
    announce: async () => {
      notices.push({ kind: 'job', id: '1', teamId: null, projectId: null })
      announce()
      await vi.advanceTimersByTimeAsync(0)
    },
  }
}

test('a worker without work asks the database four times a minute', async () => {
  const worker = idleWorker()
  await vi.advanceTimersByTimeAsync(0)
  const before = worker.asked()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(worker.asked() - before).toBe(4)
})

test('a job that is announced is looked for at once', async () => {
  const worker = idleWorker()
  await vi.advanceTimersByTimeAsync(5_000)
  const before = worker.asked()
  await worker.announce()
  expect(worker.asked() - before).toBe(1)
})

test('while the bus cannot be heard, work is looked for every two seconds, also by a worker that had begun to wait', async () => {
  const worker = idleWorker()
  await vi.advanceTimersByTimeAsync(5_000)
  const before = worker.asked()
  worker.disconnect()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(worker.asked() - before).toBe(5)
})

test('a job that waits for its time is taken when it comes', async () => {
  const due = Date.now() + 7_300
  const worker = idleWorker(() => due - Date.now())
  await vi.advanceTimersByTimeAsync(7_299)
  expect(worker.asked()).toBe(1)
  await vi.advanceTimersByTimeAsync(2)
  expect(worker.asked()).toBe(2)
})

test('a job that waits for another one is looked at every two seconds', async () => {
  const worker = idleWorker(() => -500)
  await vi.advanceTimersByTimeAsync(0)
  const before = worker.asked()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(worker.asked() - before).toBe(5)
})
