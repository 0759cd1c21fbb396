import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { EdgeReports } from '@/shared/edge-link'
import { defaultEdgePolicy, type EdgePolicy } from '@/shared/edge-policy'
import type { Route, Target } from '@/shared/route-table'
import { HostTable, type LiveRoute } from '../match/host-table'
import { type BalancedTargetsOptions, createTargets } from './balanced'
import { isLease, type Lease, type Outcome, type TargetAsk, type Targets } from './targets'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const ok: Outcome = { kind: 'answered', status: 200, headMs: 1 }
const refused: Outcome = { kind: 'fault', fault: 'refused' }
const anyone: TargetAsk = { cookie: () => undefined, avoid: null }

const targetsNamed = (count: number, since?: number): Target[] =>
  Array.from({ length: count }, (_, i) => ({ instanceId: `i${i}`, host: '127.0.0.1', port: 1000 + i, ...(since ? { since } : {}) }))

let version = 0
function tableOf(targets: Target[], policy: Partial<EdgePolicy> = {}, extra: Partial<Route> = {}): HostTable {
  const base = { teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const, targets, policy: 'x', ...extra }
  return new HostTable({
    version: ++version,
    generatedAt: '',
    dashboardUrl: '',
    routes: [
      { host: 'app.test', ...base },
      { host: 'www.test', ...base },
    ],
    policies: { x: { ...defaultEdgePolicy, ...policy } },
  })
}
const routeOf = (table: HostTable, host = 'app.test') => table.find(host) as LiveRoute

let events: EdgeReports['health']['events']
/** Ports that accept connections again. */
let accepting: Set<number>
let open: Targets[]
function balancing(table: HostTable, options: Partial<BalancedTargetsOptions> = {}): Targets {
  const targets = createTargets({
    table,
    log: quiet,
    report: (_kind, report) => events.push(...report.events),
    wake: async () => ({ accepted: false }),
    probe: async (target) => accepting.has(target.port),
    ...options,
  })
  open.push(targets)
  return targets
}
function lease(targets: Targets, route: LiveRoute, ask: TargetAsk = anyone): Lease {
  const result = targets.acquire(route, ask)
  if (result instanceof Promise || !isLease(result)) throw new Error(`no lease at once: ${JSON.stringify(result)}`)
  return result
}
/** Serves one request and says where. */
function serve(targets: Targets, route: LiveRoute, outcome: (target: Target) => Outcome = () => ok, ask: TargetAsk = anyone): string {
  const got = lease(targets, route, ask)
  got.done(outcome(got.target))
  return got.target.instanceId
}
function counted(names: string[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const name of names) all[name] = (all[name] ?? 0) + 1
  return all
}
const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000_000_000 })
  events = []
  accepting = new Set()
  open = []
})
afterEach(() => {
  for (const targets of open) targets.close()
  vi.useRealTimers()
})

describe('balancing', () => {
  test.each([1, 2, 3, 10, 1000])('round robin gives each of %i targets the same', (count) => {
    const table = tableOf(targetsNamed(count), { balance: 'round-robin' })
    const targets = balancing(table)
    const shares = counted(many(count * 4, () => serve(targets, routeOf(table))))
    expect(Object.values(shares)).toEqual(many(count, () => 4))
  })

  test.each([1, 2, 3, 10, 1000])('least loaded spreads over %i targets, idle or busy', (count) => {
    const table = tableOf(targetsNamed(count))
    const targets = balancing(table)
    const idle = counted(many(count * 3, () => serve(targets, routeOf(table))))
    expect(Object.values(idle)).toEqual(many(count, () => 3))
    const busy = many(count * 3, () => lease(targets, routeOf(table)).target.instanceId)
    expect(Object.values(counted(busy))).toEqual(many(count, () => 3))
  })

  test('the one with fewer requests open is chosen, whichever host they came by', () => {
    const table = tableOf(targetsNamed(2))
    const targets = balancing(table)
    const first = lease(targets, routeOf(table)).target
    for (const host of ['www.test', 'app.test', 'www.test']) {
      const next = lease(targets, routeOf(table, host))
      expect(next.target).not.toBe(first)
      next.done(ok)
    }
  })

  test('a target that has just failed is avoided while there is another', () => {
    const table = tableOf(targetsNamed(2))
    const targets = balancing(table)
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
      const targets = balancing(table)
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
    const targets = balancing(table)
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
    const targets = balancing(table)
    expect(counted(many(1000, () => serve(targets, routeOf(table)))).i0).toBeGreaterThan(300)
  })
})

describe('sticky visitors', () => {
  test('stay where they are; who has no cookie gets one, whose target is gone a new one', () => {
    const table = tableOf(targetsNamed(3), { sticky: true })
    const targets = balancing(table)
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
    const targets = balancing(table)
    const first = lease(targets, routeOf(table))
    const cookie = () => `${first.setCookie?.split(';')[0]}`
    const waiting = targets.acquire(routeOf(table), { ...anyone, cookie })
    expect(waiting).toBeInstanceOf(Promise)
    first.done(ok)
    const second = (await waiting) as Lease
    expect(second.target).toBe(first.target)
    second.done(ok)
    for (let i = 0; i < 5; i++) serve(targets, routeOf(table), () => refused, { ...anyone, cookie })
    expect(events).toMatchObject([{ instanceId: first.target.instanceId, state: 'ejected' }])
    expect(lease(targets, routeOf(table), { ...anyone, cookie }).target).not.toBe(first.target)
  })

  test('the cookie is never read on routes that are not sticky', () => {
    const table = tableOf(targetsNamed(2))
    const cookie = vi.fn(() => 'sy_target=x')
    serve(balancing(table), routeOf(table), () => ok, { ...anyone, cookie })
    expect(cookie).not.toHaveBeenCalled()
  })
})

describe('health', () => {
  const failing = (targets: Targets, table: HostTable, bad: Set<string>, requests: number) =>
    many(requests, () => serve(targets, routeOf(table), (target) => (bad.has(target.instanceId) ? refused : ok)))

  test('faults in a row eject; probes and one trial at a time bring it back; a relapse lasts longer', async () => {
    const table = tableOf(targetsNamed(2))
    const targets = balancing(table)
    failing(targets, table, new Set(['i0']), 20)
    expect(events).toMatchObject([{ instanceId: 'i0', state: 'ejected', reason: expect.stringContaining('5 times in a row') }])
    expect(failing(targets, table, new Set(), 50)).not.toContain('i0')
    await vi.advanceTimersByTimeAsync(30_000) // nothing accepts connections: no visitor is risked
    expect(failing(targets, table, new Set(), 50)).not.toContain('i0')
    accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    const trial = lease(targets, routeOf(table))
    expect(trial.target.instanceId).toBe('i0')
    expect(many(5, () => serve(targets, routeOf(table)))).not.toContain('i0')
    trial.done(refused)
    await vi.advanceTimersByTimeAsync(1_900)
    expect(failing(targets, table, new Set(), 5)).not.toContain('i0')
    await vi.advanceTimersByTimeAsync(200)
    expect(serve(targets, routeOf(table))).toBe('i0')
    expect(events.map((event) => event.state)).toEqual(['ejected', 'restored'])
  })

  test('a trial that takes long, or whose client left, does not keep the target out', async () => {
    const table = tableOf(targetsNamed(2))
    const targets = balancing(table)
    failing(targets, table, new Set(['i0']), 20)
    accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    const left = lease(targets, routeOf(table))
    expect(left.target.instanceId).toBe('i0')
    left.done({ kind: 'client-left' })
    const stream = lease(targets, routeOf(table))
    expect(stream.target.instanceId).toBe('i0')
    await vi.advanceTimersByTimeAsync(5_000)
    expect(serve(targets, routeOf(table))).toBe('i0')
    expect(events.at(-1)).toMatchObject({ state: 'restored' })
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
    const targets = balancing(table)
    many(count * 12, () => serve(targets, routeOf(table), () => refused))
    expect(events).toHaveLength(most)
  })

  test('one that answers 500 while its neighbours do not is an outlier; an app that answers 500 everywhere is left alone', () => {
    const table = tableOf(targetsNamed(3))
    const targets = balancing(table)
    const broken = (bad: (target: Target) => boolean) =>
      many(200, () => serve(targets, routeOf(table), (target) => ({ kind: 'answered', status: bad(target) ? 500 : 200, headMs: 1 })))
    broken((target) => target.instanceId === 'i1')
    expect(events).toMatchObject([{ instanceId: 'i1', state: 'ejected', reason: expect.stringContaining('500') }])
    const other = tableOf(targetsNamed(3).map((target) => ({ ...target, instanceId: `x${target.instanceId}` })))
    targets.apply(other)
    many(200, () => serve(targets, routeOf(other), () => ({ kind: 'answered', status: 500, headMs: 1 })))
    expect(events).toHaveLength(1)
  })

  test('faults that are rare, or between good answers, eject nothing', () => {
    const table = tableOf(targetsNamed(2))
    const targets = balancing(table)
    many(400, (i) => serve(targets, routeOf(table), () => (i % 10 < 2 ? refused : ok)))
    expect(events).toEqual([])
  })

  test('an ejected target stays ejected over a new table, and is a newcomer when it is back', async () => {
    const table = tableOf(targetsNamed(2))
    const targets = balancing(table)
    failing(targets, table, new Set(['i0']), 20)
    const next = tableOf(targetsNamed(2))
    targets.apply(next)
    expect(failing(targets, next, new Set(), 50)).not.toContain('i0')
    accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    serve(targets, routeOf(next))
    expect(counted(many(1000, () => serve(targets, routeOf(next)))).i0 ?? 0).toBeLessThan(100)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(counted(many(1000, () => serve(targets, routeOf(next)))).i0).toBe(500)
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

describe('limits', () => {
  const limited = (policy: Partial<EdgePolicy> = {}, count = 1) =>
    tableOf(targetsNamed(count), { maxRequestsPerTarget: 1, queueTimeoutMs: 1_000, ...policy })

  test('requests beyond the limit wait and are served in the order they came, also by a target that comes with a new table', async () => {
    const table = limited()
    const targets = balancing(table)
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
    const targets = balancing(table)
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
    const targets = balancing(table, { maxWaiting: 2 })
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
      const targets = balancing(table, { worker: { id, count } })
      let part = 0
      while (isLease(targets.acquire(routeOf(table), anyone) as Lease)) part++
      return part
    })
    expect(parts.reduce((sum, part) => sum + part)).toBe(Math.max(limit, count))
  })

  test('those who wait are served by a target that comes back', async () => {
    const table = limited({}, 2)
    const targets = balancing(table)
    for (let i = 0; i < 20; i++) serve(targets, routeOf(table), (target) => (target.instanceId === 'i0' ? refused : ok))
    lease(targets, routeOf(table))
    const waiting = targets.acquire(routeOf(table), anyone)
    accepting.add(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(((await waiting) as Lease).target.instanceId).toBe('i0')
  })
})

describe('sleeping deployments', () => {
  const asleep = () => tableOf([], {}, { state: 'sleeping' })

  test('are woken once, and those who wait go on when their targets come', async () => {
    const table = asleep()
    const wake = vi.fn(async () => ({ accepted: true }))
    const targets = balancing(table, { wake })
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
      expect(await balancing(table, { wake }).acquire(routeOf(table), anyone)).toMatchObject({ kind: 'asleep' })
    const patient = balancing(table, { wake: async () => ({ accepted: true }), wakeTimeoutMs: 3_000 })
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
      expect(balancing(table).acquire(routeOf(table), anyone)).toMatchObject({ kind })
    }
  })
})

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
      const targets = balancing(table)
      const leases: Lease[] = []
      const promised: Promise<unknown>[] = []
      const isOut = (id: string) => events.findLast((event) => event.instanceId === id)?.state === 'ejected'
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
            if (out.size < count && out.has(result.target.instanceId)) expect(accepting.has(result.target.port)).toBe(true)
          }
        } else if (action < 0.9) {
          const [done] = leases.splice(pick(leases.length), 1)
          const bad = done && (done.target.port + seed) % 3 === 0 && random() < 0.9
          done?.done(bad ? refused : random() < 0.1 ? { kind: 'client-left' } : ok)
          if (random() < 0.1) done?.done(refused) // a second time counts nothing
        } else if (action < 0.95) {
          if (random() < 0.3) accepting.add(1000 + pick(count))
          await vi.advanceTimersByTimeAsync(pick(1500))
        } else {
          count = 1 + pick(6)
          table = tableOf(targetsNamed(count), policy)
          targets.apply(table)
          // What left the table is forgotten.
          events = events.filter((event) => Number(event.instanceId.slice(1)) < count)
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
