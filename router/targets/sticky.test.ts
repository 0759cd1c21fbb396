import { describe, expect, test, vi } from 'vitest'
import type { Lease } from './targets'
import { anyone, lease, ok, refused, routeOf, serve, tableOf, targetsNamed, targetsWorld } from './testing'

const world = targetsWorld()

describe('sticky visitors', () => {
  test('stay where they are; who has no cookie gets one, whose target is gone a new one', () => {
    const table = tableOf(targetsNamed(3), { sticky: true })
    const targets = world.balancing(table)
    const first = lease(targets, routeOf(table))
    expect(first.setCookie).toMatch(/^sy_target=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(first.setCookie).not.toContain(first.target.instanceId)
    expect(lease(targets, routeOf(table), { ...anyone, secure: true }).setCookie).toMatch(/; Secure$/)
    const cookie = () => `theme=dark; ${first.setCookie?.split(';')[0]}; xsy_target=no`
    for (let i = 0; i < 20; i++) {
      const next = lease(targets, routeOf(table), { ...anyone, cookie })
      expect(next.target.instanceId).toBe(first.target.instanceId)
      expect(next.setCookie).toBeNull()
    }
    const without = tableOf(
      targetsNamed(3).filter((target) => target.instanceId !== first.target.instanceId),
      { sticky: true },
    )
    targets.apply(without)
    const moved = lease(targets, routeOf(without), { ...anyone, cookie })
    expect(moved.setCookie).not.toBeNull()
    expect(moved.target.instanceId).not.toBe(first.target.instanceId)
  })

  test('leave an ejected target, and wait for one that is only full', async () => {
    const table = tableOf(targetsNamed(2), { sticky: true, maxRequestsPerTarget: 1 })
    const targets = world.balancing(table)
    const first = lease(targets, routeOf(table))
    const cookie = () => `${first.setCookie?.split(';')[0]}`
    const waiting = targets.acquire(routeOf(table), { ...anyone, cookie })
    expect(waiting).toBeInstanceOf(Promise)
    first.done(ok)
    const second = (await waiting) as Lease
    expect(second.target).toBe(first.target)
    second.done(ok)
    for (let i = 0; i < 5; i++) serve(targets, routeOf(table), () => refused, { ...anyone, cookie })
    expect(world.events).toMatchObject([{ instanceId: first.target.instanceId, state: 'ejected' }])
    expect(lease(targets, routeOf(table), { ...anyone, cookie }).target).not.toBe(first.target)
  })

  test('who waits for a full target keeps nobody from the others', async () => {
    const table = tableOf(targetsNamed(3), { sticky: true, maxRequestsPerTarget: 1, queueTimeoutMs: 1_000 })
    const targets = world.balancing(table)
    const first = lease(targets, routeOf(table))
    const cookie = () => `${first.setCookie?.split(';')[0]}`
    const waiting = targets.acquire(routeOf(table), { ...anyone, cookie })
    expect(waiting).toBeInstanceOf(Promise)
    const others = [lease(targets, routeOf(table)), lease(targets, routeOf(table))]
    const behind = targets.acquire(routeOf(table), anyone)
    expect(behind).toBeInstanceOf(Promise)
    others[0]?.done(ok)
    expect((await behind) as Lease).toMatchObject({ target: others[0]?.target })
    first.done(ok)
    expect((await waiting) as Lease).toMatchObject({ target: first.target, setCookie: null })
  })

  test('who waits for a full target keeps nobody from one that comes back', async () => {
    const table = tableOf(targetsNamed(2), { sticky: true, maxRequestsPerTarget: 1, queueTimeoutMs: 60_000 })
    const targets = world.balancing(table)
    for (let i = 0; i < 20; i++) serve(targets, routeOf(table), (target) => (target.instanceId === 'i0' ? refused : ok))
    const first = lease(targets, routeOf(table))
    const stuck = targets.acquire(routeOf(table), { ...anyone, cookie: () => `${first.setCookie?.split(';')[0]}` })
    expect(stuck).toBeInstanceOf(Promise)
    const behind = targets.acquire(routeOf(table), anyone)
    world.accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(((await behind) as Lease).target.instanceId).toBe('i0')
  })

  test('the cookie is never read on routes that are not sticky', () => {
    const table = tableOf(targetsNamed(2))
    const cookie = vi.fn(() => 'sy_target=x')
    serve(world.balancing(table), routeOf(table), () => ok, { ...anyone, cookie })
    expect(cookie).not.toHaveBeenCalled()
  })
})
