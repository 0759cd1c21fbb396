import { expect, it } from 'vitest'
import { createRequestLimits } from './request-limits'

const person = { kind: 'user', id: 'a' } as const

it('a caller has the whole quota at once, then what refills, and is told when to come back', () => {
  let at = 0
  const limits = createRequestLimits({ perCaller: 120, refusedPerAddress: 1, perWebhook: 0, perDeployHook: 0 }, () => at)
  expect(limits.countCaller(person)).toEqual({
    policy: 'caller',
    quota: 120,
    windowSeconds: 60,
    remaining: 119,
    resetSeconds: 1,
    retryAfterSeconds: 0,
  })
  for (let i = 0; i < 119; i++) expect(limits.countCaller(person)?.retryAfterSeconds).toBe(0)
  expect(limits.countCaller(person)).toMatchObject({ remaining: 0, resetSeconds: 60, retryAfterSeconds: 1 })
  at = 1_000
  expect([0, 0, 0].map(() => limits.countCaller(person)?.retryAfterSeconds)).toEqual([0, 0, 1])
  at = 100_000
  expect(limits.countCaller(person)?.remaining).toBe(119)
  // A clock that is set back takes nothing away.
  at = 0
  expect(limits.countCaller(person)?.remaining).toBe(118)
})

it('each key, person and address counts for itself; an address of IPv6 by its network', () => {
  const limits = createRequestLimits({ perCaller: 1, refusedPerAddress: 1, perWebhook: 0, perDeployHook: 0 }, () => 0)
  const waits = (key: { kind: 'user' | 'api-key'; id: string }) => (limits.countCaller(key)?.retryAfterSeconds ?? 0) > 0
  expect([waits(person), waits({ kind: 'api-key', id: 'a' }), waits({ kind: 'user', id: 'b' }), waits(person)]).toEqual([false, false, false, true])
  const refused = (address: string) => (limits.countRefused(address)?.retryAfterSeconds ?? 0) > 0
  expect(['::1', '2001:db8::1', '2001:db8::2', '192.0.2.1'].map(refused)).toEqual([false, false, true, false])
})

it('0 means no limit', () => {
  const limits = createRequestLimits({ perCaller: 0, refusedPerAddress: 0, perWebhook: 0, perDeployHook: 0 })
  expect([limits.countCaller(person), limits.countRefused('::1')]).toEqual([null, null])
})
