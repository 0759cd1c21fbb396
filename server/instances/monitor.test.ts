import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Change } from '../events/bus'
import { type MonitorDeps, startMonitor } from './monitor'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A monitor of an environment with a single live, running app. */
function monitorOfOneApp() {
  let wholeRounds = 0
  let state: 'running' | 'exited' = 'running'
  let listening = true
  let behind = false
  let engineFails = false
  const deaths: unknown[] = []
  const filters: ((change: Change) => boolean)[] = []
  let notify = () => {}
  const instance = { id: 'i', releaseId: 'r', state: 'healthy', restarts: 0, teamId: 't', projectId: 'p' }
  const deps = {
    prisma: {
      instance: {
        findMany: async () => {
          wholeRounds++
          return [instance]
        },
        updateMany: async ({ data }: { data: { exit: unknown } }) => void deaths.push(data.exit),
      },
      environment: { findMany: async () => [{ id: 'e', teamId: 't', liveReleaseId: 'r' }] },
      release: { findMany: async () => [] },
      job: { count: async () => 1 },
    },
    runtime: {
      list: async () => {
        if (engineFails) throw new Error('the engine is away')
        return [{ owner: { instanceId: 'i' }, state, address: { host: '127.0.0.1', port: 4000 }, exit: null }]
      },
      stop: async () => {},
    },
    routes: { sync: async () => {}, isBehind: () => behind },
    bus: {
      publish: async () => {},
      isListening: () => listening,
      async *listen(filter: (change: Change) => boolean, signal: AbortSignal) {
        filters.push(filter)
        while (!signal.aborted) {
          await new Promise<void>((resolve) => {
            notify = resolve
            signal.addEventListener('abort', () => resolve())
          })
          if (!signal.aborted) yield null
        }
      },
    },
    collector: { follow: () => {}, finish: async () => {}, note: () => {}, hasLost: () => false },
    drainer: { follow: async () => {} },
    logger: pino({ level: 'silent' }),
  }
  const monitor = startMonitor(deps as unknown as MonitorDeps)
  return {
    monitor,
    deaths,
    roundsWithin: async (ms: number) => {
      const before = wholeRounds
      await vi.advanceTimersByTimeAsync(ms)
      return wholeRounds - before
    },
    change: (kind: Change['kind']) => {
      if (filters.some((filter) => filter({ kind, id: 'x', teamId: null, projectId: null }))) notify()
    },
    set: (next: { state?: 'running' | 'exited'; listening?: boolean; behind?: boolean; engineFails?: boolean }) => {
      state = next.state ?? state
      listening = next.listening ?? listening
      behind = next.behind ?? behind
      engineFails = next.engineFails ?? engineFails
    },
  }
}

test('while nothing changes the record is read twice a minute', async () => {
  const { monitor, roundsWithin } = monitorOfOneApp()
  await roundsWithin(10_000)
  expect(await roundsWithin(60_000)).toBeLessThanOrEqual(2)
  await monitor.stop()
})

test('an app that ends is noticed at the next look at the runtime', async () => {
  const { monitor, roundsWithin, set, deaths } = monitorOfOneApp()
  await roundsWithin(10_000)
  set({ state: 'exited' })
  await roundsWithin(2_000)
  expect(deaths).toHaveLength(1)
  await monitor.stop()
})

test('after a change of instances, projects or domains the record is read again; a line of a log is no such change', async () => {
  const { monitor, roundsWithin, change } = monitorOfOneApp()
  await roundsWithin(10_000)
  for (const kind of ['instance', 'project', 'deployment', 'domain', 'variable'] as const) {
    change(kind)
    expect(await roundsWithin(2_000)).toBe(1)
  }
  for (const kind of ['log', 'request', 'watch', 'job'] as const) change(kind)
  expect(await roundsWithin(2_000)).toBe(0)
  await monitor.stop()
})

test('while changes cannot be heard or routes are not published, the record is read in every round', async () => {
  const { monitor, roundsWithin, set } = monitorOfOneApp()
  await roundsWithin(10_000)
  set({ listening: false })
  expect(await roundsWithin(10_000)).toBe(5)
  set({ listening: true, behind: true })
  expect(await roundsWithin(10_000)).toBe(5)
  await monitor.stop()
})

test('apps that are gone after the runtime did not answer ended with it, and do not count as crashed', async () => {
  const { monitor, roundsWithin, set, deaths } = monitorOfOneApp()
  await roundsWithin(10_000)
  set({ engineFails: true })
  await roundsWithin(4_000)
  set({ engineFails: false, state: 'exited' })
  await roundsWithin(2_000)
  expect(deaths).toEqual([expect.objectContaining({ byEngine: true })])
  await monitor.stop()
})
