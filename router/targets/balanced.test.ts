import { describe, expect, test, vi } from 'vitest'
import type { Target } from '@/shared/route-table'
import { hostTable, routeTo } from '../engine/contract/testing'
import { isLease, type Lease } from './targets'
import { anyone, counted, lease, many, ok, refused, routeOf, serve, tableOf, targetsNamed, targetsWorld } from './testing'

const world = targetsWorld()

describe('balancing', () => {
  test.each([1, 2, 3, 10, 1000])('round robin gives each of %i targets the same', (count) => {
    const table = tableOf(targetsNamed(count), { balance: 'round-robin' })
    const targets = world.balancing(table)
    const shares = counted(many(count * 4, () => serve(targets, routeOf(table))))
    expect(Object.values(shares)).toEqual(many(count, () => 4))
  })

  test.each([1, 2, 3, 10, 1000])('least loaded spreads over %i targets, idle or busy', (count) => {
    const table = tableOf(targetsNamed(count))
    const targets = world.balancing(table)
    const idle = counted(many(count * 3, () => serve(targets, routeOf(table))))
    expect(Object.values(idle)).toEqual(many(count, () => 3))
    const busy = many(count * 3, () => lease(targets, routeOf(table)).target.instanceId)
    expect(Object.values(counted(busy))).toEqual(many(count, () => 3))
  })

  test('the one with fewer requests open is chosen, whichever host they came by', () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    const first = lease(targets, routeOf(table)).target
    for (const host of ['www.test', 'app.test', 'www.test']) {
      const next = lease(targets, routeOf(table, host))
      expect(next.target).not.toBe(first)
      next.done(ok)
    }
  })

  test('a target that has just failed is avoided while there is another', () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    const [first] = routeOf(table).targets as [Target]
    for (let i = 0; i < 10; i++) expect(serve(targets, routeOf(table), () => ok, { ...anyone, avoid: first })).toBe('i1')
    const alone = tableOf([first])
    targets.apply(alone)
    expect(serve(targets, routeOf(alone), () => ok, { ...anyone, avoid: first })).toBe('i0')
  })

  test('a newcomer among others begins with a small share that grows to a whole one', () => {
    const [old, fresh] = [targetsNamed(2)[0] as Target, { instanceId: 'new', host: '127.0.0.1', port: 9, since: Date.now() }]
    for (const balance of ['least-loaded', 'round-robin'] as const) {
      vi.setSystemTime(1_000_000_000_000)
      const table = tableOf([old, fresh], { balance })
      const targets = world.balancing(table)
      const shares = [0, 2_500, 5_000, 7_500, 10_000].map((age) => {
        vi.setSystemTime(1_000_000_000_000 + age)
        return (counted(many(4000, () => serve(targets, routeOf(table)))).new ?? 0) / 4000
      })
      expect(shares[0]).toBeGreaterThan(0)
      expect(shares[0]).toBeLessThan(0.15)
      expect(shares[2]).toBeGreaterThan(shares[1] as number)
      expect(shares[3]).toBeGreaterThan(shares[2] as number)
      expect(shares[4]).toBe(0.5)
    }
  })

  test('one that joins others by a new table begins slowly, too; a whole new set does not', () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    serve(targets, routeOf(table))
    const joined = tableOf(targetsNamed(3))
    targets.apply(joined)
    const share = () => (counted(many(3000, () => serve(targets, routeOf(joined)))).i2 ?? 0) / 3000
    expect(share()).toBeLessThan(0.1)
    vi.setSystemTime(Date.now() + 10_000)
    expect(share()).toBeCloseTo(1 / 3, 2)
    const replaced = tableOf(targetsNamed(5).slice(3))
    targets.apply(replaced)
    expect(counted(many(100, () => serve(targets, routeOf(replaced))))).toEqual({ i3: 50, i4: 50 })
  })

  test('newcomers alone share at once', () => {
    const table = tableOf(targetsNamed(2, Date.now()))
    const targets = world.balancing(table)
    expect(counted(many(1000, () => serve(targets, routeOf(table)))).i0).toBeGreaterThan(300)
  })
})

/** A small generator, so that a failure can be repeated by its seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe('whatever happens', () => {
  test.each(many(40, (seed) => seed + 1))(
    'no ejected target serves while a healthy one is there, and counts return to zero (seed %i)',
    async (seed) => {
      const random = randomOf(seed)
      const pick = (n: number) => Math.floor(random() * n)
      let count = 1 + pick(6)
      const limit = random() < 0.5 ? null : 1 + pick(4)
      const policy = {
        maxRequestsPerTarget: limit,
        balance: random() < 0.5 ? ('round-robin' as const) : ('least-loaded' as const),
        queueTimeoutMs: 500,
      }
      let table = tableOf(targetsNamed(count), policy)
      const targets = world.balancing(table)
      const leases: Lease[] = []
      const promised: Promise<unknown>[] = []
      const isOut = (id: string) => world.events.findLast((event) => event.instanceId === id)?.state === 'ejected'
      for (let step = 0; step < 400; step++) {
        const action = random()
        if (action < 0.5) {
          const out = new Set(
            routeOf(table)
              .targets.map((target) => target.instanceId)
              .filter(isOut),
          )
          const result = targets.acquire(routeOf(table), anyone)
          if (result instanceof Promise) promised.push(result.then((got) => isLease(got) && leases.push(got)))
          else if (isLease(result)) {
            leases.push(result)
            // A trial, which comes after a probe, is the one exception.
            if (out.size < count && out.has(result.target.instanceId)) expect(world.accepting.has(result.target.port)).toBe(true)
          }
        } else if (action < 0.9) {
          const [done] = leases.splice(pick(leases.length), 1)
          const bad = done && (done.target.port + seed) % 3 === 0 && random() < 0.9
          done?.done(bad ? refused : random() < 0.1 ? { kind: 'client-left' } : ok)
          if (random() < 0.1) done?.done(refused) // a second time counts nothing
        } else if (action < 0.95) {
          if (random() < 0.3) world.accepting.add(1000 + pick(count))
          await vi.advanceTimersByTimeAsync(pick(1500))
        } else {
          count = 1 + pick(6)
          table = tableOf(targetsNamed(count), policy)
          targets.apply(table)
          // What left the table is forgotten.
          world.events = world.events.filter((event) => Number(event.instanceId.slice(1)) < count)
        }
        if (limit !== null) for (const open of Object.values(targets.inFlight(['i0', 'i1', 'i2']))) expect(open).toBeLessThanOrEqual(limit)
      }
      await vi.advanceTimersByTimeAsync(1_000)
      while (leases.length > 0) leases.pop()?.done(ok)
      await Promise.all(promised)
      while (leases.length > 0) leases.pop()?.done(ok)
      const names = targetsNamed(6).map((target) => target.instanceId)
      expect(Object.values(targets.inFlight(names))).toEqual(names.map(() => 0))
    },
  )
})

describe('a table with more hosts in use than one turn renews', () => {
  const hosts = many(20_000, (i) => `shop-${i}.test`)
  const address = (i: number): Target => ({ instanceId: `i${i}`, host: '127.0.0.1', port: 1000 + (i % 60_000) })
  const tableFrom = (first: number) =>
    hostTable(hosts.slice(first).map((host, i) => routeTo(host, [address(first + i)], { deploymentId: `d${first + i}` })))
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  test('serves all of them at once, and forgets what left it in turns of their own', async () => {
    vi.useRealTimers()
    const before = tableFrom(0)
    const targets = world.balancing(before)
    const held = hosts.map((host) => lease(targets, routeOf(before, host)))
    const after = tableFrom(10_000)
    targets.apply(after)
    // Of hosts not renewed yet, too: what is open on their targets is still known.
    for (const i of [10_000, 15_000, 19_999]) {
      lease(targets, routeOf(after, hosts[i])).done(ok)
      expect(targets.inFlight([`i${i}`])).toEqual({ [`i${i}`]: 1 })
    }
    for (let i = 0; i < 1_000; i++) await turn()
    expect(targets.inFlight(['i0', 'i9999', 'i10000', 'i19999'])).toEqual({ i0: 1, i9999: 1, i10000: 1, i19999: 1 })
    for (const one of held) one.done(ok)
    expect(targets.inFlight(['i0', 'i9999', 'i10000', 'i19999'])).toEqual({ i0: 0, i9999: 0, i10000: 0, i19999: 0 })
  })
})
