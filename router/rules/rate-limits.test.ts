import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../engine/contract/testing'
import { RateLimits, type Take } from './rate-limits'

const books: RateLimits[] = []
afterEach(() => {
  for (const book of books.splice(0)) book.close()
})

/** Workers that tell each other everything. */
function workers(count: number) {
  const told: Take[][] = []
  const now = () => 0
  const made: RateLimits[] = Array.from({ length: count }, (_, i) => {
    const tell = (takes: Take[], sent: () => void) => {
      told.push(takes)
      for (const [other, book] of made.entries()) if (other !== i) book.receive(structuredClone(takes))
      sent()
    }
    return new RateLimits(tell, now)
  })
  books.push(...made)
  return { told, made }
}

const remaining = (book: RateLimits | undefined, name: string, key: string) => book?.limit(name, 10, 60).take(key, 0).remaining ?? -1

describe('limits of several workers', () => {
  test('are one limit: what one gives the others have no more', async () => {
    const { made, told } = workers(3)
    const limit = made[0]?.limit('a', 10, 60)
    for (let i = 0; i < 6; i++) limit?.take('visitor', 0)
    await until('it is told', () => told.length === 1)
    expect(told).toEqual([[{ limit: 'a', requests: 10, windowSeconds: 60, key: 'visitor', tokens: 6 }]])
    expect(remaining(made[1], 'a', 'visitor')).toBe(3)
    expect(remaining(made[2], 'a', 'other')).toBe(9)
    expect(remaining(made[2], 'b', 'visitor')).toBe(9)
  })

  test('owe what was given twice at the same moment, so that no more comes through in the long run', async () => {
    const { made, told } = workers(2)
    const limits = made.map((book) => book.limit('a', 10, 60))
    for (let i = 0; i < 20; i++) for (const limit of limits) limit.take('visitor', 0)
    await until('both have told', () => told.length === 2)
    // Twenty were given in this window: the next one's ten are spent.
    for (const limit of limits) {
      expect(limit.take('visitor', 60_000).retryAfterSeconds).toBeGreaterThan(0)
      expect(limit.take('visitor', 66_001)).toMatchObject({ retryAfterSeconds: 0, remaining: 0 })
    }
  })

  test('refusals cost nobody anything and are not told', async () => {
    const { made, told } = workers(2)
    const limit = made[0]?.limit('a', 1, 60)
    for (let i = 0; i < 100; i++) limit?.take('visitor', 0)
    await until('it is told', () => told.length === 1)
    expect(told[0]?.[0]?.tokens).toBe(1)
  })

  test('keep no more visitors together than there is room for; limits with the most of them give way, and forget who was not seen for longest', () => {
    const book = new RateLimits(null, () => 0, 100)
    const quiet = book.limit('quiet', 1, 60)
    quiet.take('ann', 0)
    const floods = Array.from({ length: 10 }, (_, i) => book.limit(`flood ${i}`, 1, 60))
    for (const limit of floods) for (let i = 0; i < 60; i++) limit.take(`visitor ${i}`, 0)
    book.receive([{ limit: 'heard', requests: 1, windowSeconds: 60, key: 'visitor', tokens: 1 }])
    expect([quiet, ...floods].reduce((sum, limit) => sum + limit.size, 0)).toBeLessThanOrEqual(100)
    expect(quiet.take('ann', 0).retryAfterSeconds).toBeGreaterThan(0)
    expect(floods.at(-1)?.take('visitor 59', 0).retryAfterSeconds).toBeGreaterThan(0)
    expect(floods.at(-1)?.take('visitor 0', 0).retryAfterSeconds).toBe(0)
  })

  test.each([[null], ['x'], [[{ limit: 'a' }]], [[{ limit: 'a', requests: 10, windowSeconds: 60, key: 'visitor', tokens: -5 }]]])(
    'what another version says and we do not understand changes nothing: %j',
    (told) => {
      const book = new RateLimits()
      book.receive(told)
      expect(remaining(book, 'a', 'visitor')).toBe(9)
    },
  )

  test('a worker that cannot be told keeps no more than a bound in memory, and tells the newest once it can', async () => {
    let sent = () => {}
    const told: Take[][] = []
    const book = new RateLimits((takes, done) => {
      told.push(takes)
      sent = done
    })
    books.push(book)
    const limit = book.limit('a', 10, 60)
    limit.take('first', 0)
    await until('the first is told', () => told.length === 1)
    for (let i = 0; i < 5; i++) limit.take('second', 0)
    sent()
    await until('the rest is told', () => told.length === 2)
    expect(told[1]).toMatchObject([{ key: 'second', tokens: 5 }])
  })
})
