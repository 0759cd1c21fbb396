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
