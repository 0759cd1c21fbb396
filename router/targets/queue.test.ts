import { describe, expect, test, vi } from 'vitest'
import type { ProjectRules } from '@/shared/project-rules'
import { isLease, type Lease } from './targets'
import { anyone, lease, many, ok, refused, routeOf, serve, tableOf, targetsNamed, targetsWorld } from './testing'

const world = targetsWorld()

describe('limits', () => {
  const limited = (policy: Partial<ProjectRules> = {}, count = 1) =>
    tableOf(targetsNamed(count), { maxRequestsPerTarget: 1, queueTimeoutMs: 1_000, ...policy })

  test('requests beyond the limit wait and are served in the order they came, also by a target that comes with a new table', async () => {
    const table = limited()
    const targets = world.balancing(table)
    const first = lease(targets, routeOf(table))
    const order: number[] = []
    const waiting = many(3, async (i) => {
      const got = await targets.acquire(routeOf(table, i === 1 ? 'www.test' : 'app.test'), anyone)
      order.push(i)
      return got as Lease
    })
    first.done(ok)
    const second = (await waiting[0]) as Lease
    expect(order).toEqual([0])
    targets.apply(limited({}, 2))
    const third = (await waiting[1]) as Lease
    expect(order).toEqual([0, 1])
    expect(third.target.instanceId).toBe('i1')
    second.done(ok)
    ;((await waiting[2]) as Lease).done(ok)
    third.done(ok)
    expect(order).toEqual([0, 1, 2])
    expect(targets.inFlight(['i0', 'i1'])).toEqual({ i0: 0, i1: 0 })
  })

  test('who waits too long is told that the app is busy; a client that left leaves the queue', async () => {
    const table = limited()
    const targets = world.balancing(table)
    const first = lease(targets, routeOf(table))
    const left = new AbortController()
    const [leaving, late, served] = [{ ...anyone, signal: left.signal }, anyone, anyone].map((ask) => targets.acquire(routeOf(table), ask))
    left.abort()
    expect(await leaving).toMatchObject({ kind: 'overloaded', projectName: 'shop' })
    await vi.advanceTimersByTimeAsync(999)
    first.done(ok)
    expect(isLease((await late) as Lease)).toBe(true)
    await vi.advanceTimersByTimeAsync(1)
    expect(await served).toMatchObject({ kind: 'overloaded' })
    expect(targets.inFlight(['i0'])).toEqual({ i0: 1 })
  })

  test('the queue is bounded', async () => {
    const table = limited()
    const targets = world.balancing(table, { maxWaiting: 2 })
    lease(targets, routeOf(table))
    const [, , third] = many(3, () => targets.acquire(routeOf(table), anyone))
    expect(third).toMatchObject({ kind: 'overloaded' })
  })

  test.each([
    [10, 4],
    [4, 4],
    [1, 4],
    [7, 2],
  ])('%i at once over %i workers: their parts add up, and each may serve one', (limit, count) => {
    const table = tableOf(targetsNamed(1), { maxRequestsPerTarget: limit, queueTimeoutMs: 0 })
    const parts = many(count, (id) => {
      const targets = world.balancing(table, { worker: { id, count } })
      let part = 0
      while (isLease(targets.acquire(routeOf(table), anyone) as Lease)) part++
      return part
    })
    expect(parts.reduce((sum, part) => sum + part)).toBe(Math.max(limit, count))
  })

  test('who waits because a target has just failed is not given that one, and keeps nobody else from it', async () => {
    const table = limited({}, 2)
    const targets = world.balancing(table)
    const [one, two] = [lease(targets, routeOf(table)), lease(targets, routeOf(table))]
    one.done(refused)
    const again = targets.acquire(routeOf(table), { ...anyone, avoid: one.target })
    expect(again).toBeInstanceOf(Promise)
    const other = lease(targets, routeOf(table))
    expect(other.target).toBe(one.target)
    other.done(ok)
    two.done(ok)
    expect(((await again) as Lease).target).toBe(two.target)
  })

  test('who waits because a target has just failed is given it when there is no other any more', async () => {
    const table = limited({}, 2)
    const targets = world.balancing(table)
    const [one, two] = [lease(targets, routeOf(table)), lease(targets, routeOf(table))]
    const again = targets.acquire(routeOf(table), { ...anyone, avoid: one.target })
    const left = tableOf(
      targetsNamed(2).filter(({ instanceId }) => instanceId === one.target.instanceId),
      { maxRequestsPerTarget: 1, queueTimeoutMs: 1_000 },
    )
    targets.apply(left)
    one.done(ok)
    expect(((await again) as Lease).target.instanceId).toBe(one.target.instanceId)
    two.done(ok)
  })

  test("who waits at a host that became another project's is not handed to that one, whose doors they never passed", async () => {
    const table = limited()
    const targets = world.balancing(table)
    lease(targets, routeOf(table))
    const waiting = targets.acquire(routeOf(table), anyone)
    targets.apply(tableOf(targetsNamed(1), {}, { projectId: 'other', teamId: 'other' }))
    expect(await waiting).toMatchObject({ kind: 'no-target', projectName: 'shop' })
    expect(targets.inFlight(['i0'])).toEqual({ i0: 1 })
  })

  test('who was decided on under an older table goes where the newest one says, and not to another project', async () => {
    const [old, next] = [tableOf(targetsNamed(1)), tableOf(targetsNamed(2).slice(1))]
    const targets = world.balancing(old)
    serve(targets, routeOf(old))
    targets.apply(next)
    expect(serve(targets, routeOf(old))).toBe('i1')
    targets.apply(tableOf(targetsNamed(3).slice(2), {}, { projectId: 'other' }))
    expect(serve(targets, routeOf(old))).toBe('i0')
  })

  test('a target on trial is given one request at a time, also when an older request leaves it while others wait', async () => {
    const table = limited({ maxRequestsPerTarget: 2, queueTimeoutMs: 60_000 }, 2)
    const targets = world.balancing(table)
    const [, other] = routeOf(table).targets
    const onlyFirst = { ...anyone, avoid: other ?? null }
    const older = lease(targets, routeOf(table), onlyFirst)
    for (let i = 0; i < 5; i++) serve(targets, routeOf(table), () => refused, onlyFirst)
    world.accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    const [trial, ...rest] = many(3, () => lease(targets, routeOf(table)))
    expect([trial, ...rest].map((one) => one?.target.instanceId)).toEqual(['i0', 'i1', 'i1'])
    const waiting = Promise.resolve(targets.acquire(routeOf(table), anyone))
    older.done(ok)
    expect(await Promise.race([waiting, vi.advanceTimersByTimeAsync(10).then(() => 'waits')])).toBe('waits')
    trial?.done(ok)
    expect(((await waiting) as Lease).target.instanceId).toBe('i0')
  })

  test('those who wait are served by a target that comes back', async () => {
    const table = limited({}, 2)
    const targets = world.balancing(table)
    for (let i = 0; i < 20; i++) serve(targets, routeOf(table), (target) => (target.instanceId === 'i0' ? refused : ok))
    lease(targets, routeOf(table))
    const waiting = targets.acquire(routeOf(table), anyone)
    world.accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(((await waiting) as Lease).target.instanceId).toBe('i0')
  })
})
