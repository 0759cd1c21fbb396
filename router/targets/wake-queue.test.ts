import { describe, expect, test, vi } from 'vitest'
import { isLease } from './targets'
import { anyone, many, routeOf, tableOf, targetsNamed, targetsWorld } from './testing'

const world = targetsWorld()

describe('sleeping deployments', () => {
  const asleep = () => tableOf([], {}, { state: 'sleeping' })

  test('are woken once, and those who wait go on when their targets come', async () => {
    const table = asleep()
    const wake = vi.fn(async () => ({ accepted: true }))
    const targets = world.balancing(table, { wake })
    const waiting = many(5, () => targets.acquire(routeOf(table), anyone))
    await vi.advanceTimersByTimeAsync(2_000)
    targets.apply(asleep())
    waiting.push(targets.acquire(routeOf(table), anyone))
    expect(wake).toHaveBeenCalledTimes(1)
    expect(wake).toHaveBeenCalledWith({ deploymentId: 'd' })
    targets.apply(tableOf(targetsNamed(1)))
    for (const result of await Promise.all(waiting)) expect(isLease(result)).toBe(true)
    expect(targets.inFlight(['i0'])).toEqual({ i0: 6 })
  })

  test('that cannot be woken, or not in time, or nobody is there to wake, get a page at once or at the deadline', async () => {
    const table = asleep()
    for (const wake of [async () => ({ accepted: false }), () => Promise.reject(new Error('the control plane is not connected'))])
      expect(await world.balancing(table, { wake }).acquire(routeOf(table), anyone)).toMatchObject({ kind: 'asleep' })
    const patient = world.balancing(table, { wake: async () => ({ accepted: true }), wakeTimeoutMs: 3_000 })
    const late = patient.acquire(routeOf(table), anyone)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(await late).toMatchObject({ kind: 'asleep' })
  })

  test('are asked for again while visitors keep coming: whoever was to wake them may have died over it', async () => {
    const table = asleep()
    const wake = vi.fn(async () => ({ accepted: true }))
    const targets = world.balancing(table, { wake, wakeTimeoutMs: 30_000 })
    for (let i = 0; i < 6; i++) {
      void targets.acquire(routeOf(table), anyone)
      await vi.advanceTimersByTimeAsync(10_000)
    }
    expect(wake.mock.calls.length).toBeGreaterThan(1)
    expect(wake.mock.calls.length).toBeLessThan(7)
  })

  test('of one deployment that keep many waiting take no place from those of others', async () => {
    const wake = async () => ({ accepted: true })
    const targets = world.balancing(asleep(), { wake, maxWaiting: 2 })
    const [, , third] = many(3, () => targets.acquire(routeOf(asleep()), anyone))
    expect(third).toMatchObject({ kind: 'asleep' })
    const other = tableOf([], {}, { state: 'sleeping', projectId: 'other', deploymentId: 'other' })
    expect(targets.acquire(routeOf(other), anyone)).toBeInstanceOf(Promise)
  })

  test("whose host became another project's do not hand their visitors to it", async () => {
    const table = asleep()
    const targets = world.balancing(table, { wake: async () => ({ accepted: true }) })
    const held = targets.acquire(routeOf(table), anyone)
    targets.apply(tableOf(targetsNamed(1), {}, { projectId: 'other', teamId: 'other', deploymentId: 'theirs' }))
    expect(await held).toMatchObject({ kind: 'asleep' })
    expect(targets.inFlight(['i0'])).toEqual({ i0: 0 })
  })

  test('whose place another sleeping one takes hand their visitors on to it', async () => {
    const table = asleep()
    const wake = vi.fn(async (_: { deploymentId: string }) => ({ accepted: true }))
    const targets = world.balancing(table, { wake })
    const held = targets.acquire(routeOf(table), anyone)
    targets.apply(tableOf([], {}, { state: 'sleeping', deploymentId: 'next' }))
    expect(wake.mock.calls.map(([ask]) => ask.deploymentId)).toEqual(['d', 'next'])
    targets.apply(tableOf(targetsNamed(1), {}, { deploymentId: 'next' }))
    expect(isLease((await held) as never)).toBe(true)
  })

  test('a route without targets says why at once', () => {
    for (const [state, kind] of [
      ['live', 'no-target'],
      ['stopped', 'stopped'],
      ['failed', 'failed'],
      ['not-deployed', 'not-deployed'],
    ] as const) {
      const table = tableOf([], {}, { state })
      expect(world.balancing(table).acquire(routeOf(table), anyone)).toMatchObject({ kind })
    }
  })
})
