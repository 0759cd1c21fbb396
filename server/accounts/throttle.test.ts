import { expect, it } from 'vitest'
import { countedAddress, createThrottle, type LaneKey } from './throttle'

/** A throttle with a fake clock; `waits` lists the delay of each attempt. */
function harness() {
  let at = 1_000_000
  const waits: number[] = []
  const throttle = createThrottle({
    now: () => at,
    sleep: async (ms) => {
      waits[waits.length - 1] = ms
    },
  })
  const attempt = async (keys: LaneKey[]) => {
    waits.push(0)
    const succeeded = await throttle.admit(keys)
    return { succeeded, waitedMs: waits.at(-1) ?? 0 }
  }
  return {
    attempt,
    pass: (ms: number) => {
      at += ms
    },
  }
}
const stranger = (i: number): LaneKey[] => [
  ['address', '10.0.0.1'],
  ['email', `a${i}@example.org`],
  ['pair', `10.0.0.1 a${i}@example.org`],
]
const owner: LaneKey[] = [
  ['address', '10.0.0.1'],
  ['email', 'owner@example.org'],
  ['pair', '10.0.0.1 owner@example.org'],
]

it('sixty anonymous attempts slow the people behind their address down for seconds, and refuse nobody', async () => {
  const { attempt } = harness()
  for (let i = 0; i < 60; i++) await attempt(stranger(i))
  expect((await attempt(owner)).waitedMs).toBeLessThan(10_000)
})

it('a success does not count: an office that signs in all day is never slowed down', async () => {
  const { attempt } = harness()
  for (let i = 0; i < 500; i++) {
    const { succeeded, waitedMs } = await attempt(stranger(i))
    expect(waitedMs).toBe(0)
    succeeded()
  }
})

it('guesses at one account from one place come ever more slowly, and one right password ends that', async () => {
  const { attempt, pass } = harness()
  const waits: number[] = []
  for (let i = 0; i < 10; i++) {
    const { waitedMs } = await attempt(owner)
    waits.push(waitedMs)
    pass(waitedMs)
  }
  expect(waits).toEqual([0, 0, 0, 0, 0, 500, 1_000, 2_000, 4_000, 8_000])
  const right = await attempt(owner)
  pass(right.waitedMs)
  right.succeeded()
  expect((await attempt(owner)).waitedMs).toBe(0)
})

it('a guesser at one account holds nobody else behind the same address up', async () => {
  const { attempt } = harness()
  for (let i = 0; i < 9; i++) await attempt(owner)
  expect((await attempt(stranger(1))).waitedMs).toBe(0)
})

it('attempts at the same moment are spaced too; beyond a browser’s patience they are told when to come back', async () => {
  const { attempt } = harness()
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => attempt(owner)))
  const refused = outcomes.filter((one) => one.status === 'rejected')
  expect(outcomes.length - refused.length).toBeLessThan(12)
  expect(refused[0]).toMatchObject({ reason: { code: 'ERR_RATE_LIMITED', details: { retryAfterSeconds: expect.any(Number) } } })
})

it('a device that has signed in before is counted apart from a crowd of strangers', async () => {
  const { attempt } = harness()
  await Promise.allSettled(Array.from({ length: 500 }, () => attempt(owner)))
  expect((await attempt([['device', 'd1 owner@example.org']])).waitedMs).toBe(0)
})

it('is over after a quarter of an hour of quiet', async () => {
  const { attempt, pass } = harness()
  for (let i = 0; i < 9; i++) await attempt(owner)
  pass(15 * 60_000 + 1)
  expect((await attempt(owner)).waitedMs).toBe(0)
})

it('counts an IPv6 network as one address', () => {
  expect(countedAddress('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
  expect(countedAddress('2001:db8::7')).toBe('2001:db8:0:0::/64')
  expect(countedAddress('::1')).toBe('0:0:0:0::/64')
  expect(countedAddress('203.0.113.7')).toBe('203.0.113.7')
})
