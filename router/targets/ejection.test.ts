import { describe, expect, test, vi } from 'vitest'
import type { Target } from '@/shared/route-table'
import type { HostTable } from '../match/host-table'
import type { Targets } from './targets'
import { counted, lease, many, ok, refused, routeOf, serve, tableOf, targetsNamed, targetsWorld } from './testing'

const world = targetsWorld()

describe('health', () => {
  const failing = (targets: Targets, table: HostTable, bad: Set<string>, requests: number) =>
    many(requests, () => serve(targets, routeOf(table), (target) => (bad.has(target.instanceId) ? refused : ok)))

  test('faults in a row eject; probes and one trial at a time bring it back; a relapse lasts longer', async () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    failing(targets, table, new Set(['i0']), 20)
    expect(world.events).toMatchObject([{ instanceId: 'i0', state: 'ejected', reason: expect.stringContaining('5 times in a row') }])
    expect(failing(targets, table, new Set(), 50)).not.toContain('i0')
    await vi.advanceTimersByTimeAsync(30_000) // nothing accepts connections: no visitor is risked
    expect(failing(targets, table, new Set(), 50)).not.toContain('i0')
    world.accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    const trial = lease(targets, routeOf(table))
    expect(trial.target.instanceId).toBe('i0')
    expect(many(5, () => serve(targets, routeOf(table)))).not.toContain('i0')
    trial.done(refused)
    await vi.advanceTimersByTimeAsync(1_900)
    expect(failing(targets, table, new Set(), 5)).not.toContain('i0')
    await vi.advanceTimersByTimeAsync(200)
    expect(serve(targets, routeOf(table))).toBe('i0')
    expect(world.events.map((event) => event.state)).toEqual(['ejected', 'restored'])
  })

  test('a trial that takes long, or whose client left, does not keep the target out', async () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    failing(targets, table, new Set(['i0']), 20)
    world.accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    const left = lease(targets, routeOf(table))
    expect(left.target.instanceId).toBe('i0')
    left.done({ kind: 'client-left' })
    const stream = lease(targets, routeOf(table))
    expect(stream.target.instanceId).toBe('i0')
    await vi.advanceTimersByTimeAsync(5_000)
    expect(serve(targets, routeOf(table))).toBe('i0')
    expect(world.events.at(-1)).toMatchObject({ state: 'restored' })
  })

  test.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [10, 5],
    [1000, 500],
  ])('of %i targets that all fail, %i are ejected: never more than half', (count, most) => {
    const table = tableOf(targetsNamed(count))
    const targets = world.balancing(table)
    many(count * 12, () => serve(targets, routeOf(table), () => refused))
    expect(world.events).toHaveLength(most)
  })

  test('one that answers 500 while its neighbours do not is an outlier; an app that answers 500 everywhere is left alone', () => {
    const table = tableOf(targetsNamed(3))
    const targets = world.balancing(table)
    const broken = (bad: (target: Target) => boolean) =>
      many(200, () => serve(targets, routeOf(table), (target) => ({ kind: 'answered', status: bad(target) ? 500 : 200, headMs: 1 })))
    broken((target) => target.instanceId === 'i1')
    expect(world.events).toMatchObject([{ instanceId: 'i1', state: 'ejected', reason: expect.stringContaining('500') }])
    const other = tableOf(targetsNamed(3).map((target) => ({ ...target, instanceId: `x${target.instanceId}` })))
    targets.apply(other)
    many(200, () => serve(targets, routeOf(other), () => ({ kind: 'answered', status: 500, headMs: 1 })))
    expect(world.events).toHaveLength(1)
  })

  test('an outlier that answers its trial with 500, too, stays out longer; one that had faults is up when it answers at all', async () => {
    const table = tableOf(targetsNamed(3))
    const targets = world.balancing(table)
    const answering = (status: number, count: number) =>
      many(count, () =>
        serve(targets, routeOf(table), (target) => ({ kind: 'answered', status: target.instanceId === 'i1' ? status : 200, headMs: 1 })),
      )
    answering(500, 200)
    world.accepting.add(1001)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(answering(500, 20)).toContain('i1')
    await vi.advanceTimersByTimeAsync(1_500)
    expect(answering(500, 20)).not.toContain('i1')
    await vi.advanceTimersByTimeAsync(500)
    expect(answering(200, 1)).toEqual(['i1'])
    expect(world.events.map((event) => event.state)).toEqual(['ejected', 'restored'])
    failing(targets, table, new Set(['i1']), 2_000)
    expect(world.events.map((event) => event.state)).toEqual(['ejected', 'restored', 'ejected'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(answering(500, 20)).toContain('i1')
    expect(world.events.at(-1)).toMatchObject({ state: 'restored' })
  })

  test('faults that are rare, or between good answers, eject nothing', () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    many(400, (i) => serve(targets, routeOf(table), () => (i % 10 < 2 ? refused : ok)))
    expect(world.events).toEqual([])
  })

  test('an ejected target stays ejected over a new table, and is a newcomer when it is back', async () => {
    const table = tableOf(targetsNamed(2))
    const targets = world.balancing(table)
    failing(targets, table, new Set(['i0']), 20)
    const next = tableOf(targetsNamed(2))
    targets.apply(next)
    expect(failing(targets, next, new Set(), 50)).not.toContain('i0')
    world.accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    serve(targets, routeOf(next))
    expect(counted(many(1000, () => serve(targets, routeOf(next)))).i0 ?? 0).toBeLessThan(100)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(counted(many(1000, () => serve(targets, routeOf(next)))).i0).toBe(500)
  })
})
