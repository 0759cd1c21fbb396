import { describe, expect, test } from 'vitest'
import { nextInfo } from './renewal-info'
import { allowedAt, backoff, failureWindowMs, firstAllowedAt, outagePause, pollDelay, renewAt, selectWithin } from './schedule'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const life = { notBefore: 0, notAfter: 90 * day }

describe('renewal', () => {
  test('with a third of the lifetime left: 30 days of 90, 15 of 45, a third of seconds', () => {
    expect(renewAt(life, null, 0)).toBe(60 * day)
    expect(renewAt({ notBefore: 0, notAfter: 45 * day }, null, 0)).toBe(30 * day)
    expect(renewAt({ notBefore: 0, notAfter: 90_000 }, null, 0)).toBe(60_000)
  })

  test('spreads over a thirtieth of the lifetime, always before the third', () => {
    for (const random of [0, 0.5, 0.999]) {
      const at = renewAt(life, null, random)
      expect(at).toBeLessThanOrEqual(60 * day)
      expect(at).toBeGreaterThan(57 * day)
    }
  })

  test('follows the CA, but not to where too little would be left', () => {
    const info = { start: 0, end: 1, explanationUrl: null, nextPollAt: 0 }
    expect(renewAt(life, { ...info, selectedAt: 10 * day }, 0)).toBe(10 * day)
    expect(renewAt(life, { ...info, selectedAt: 75 * day }, 0)).toBe(75 * day)
    expect(renewAt(life, { ...info, selectedAt: 89 * day }, 0)).toBe(60 * day)
  })
})

describe('a renewal that would be due at once', () => {
  const over = { start: -2 * day, end: -day, explanationUrl: null, nextPollAt: 0, selectedAt: 0 }
  test('waits a day or a tenth of the lifetime: neither windows that are over nor a clock that runs ahead make a circle', () => {
    expect(renewAt(life, over, 0)).toBe(day)
    expect(renewAt(life, null, 0, 200 * day)).toBe(201 * day)
    expect(renewAt({ notBefore: 0, notAfter: 60_000 }, null, 0, 90_000)).toBe(96_000)
  })
  test('waits for nothing when the certificate is older than that', () => {
    expect(renewAt(life, { ...over, selectedAt: 5 * day }, 0)).toBe(5 * day)
  })
})

describe('the pause after a failure', () => {
  test('is 1, 10, 100 minutes, then a day, jittered by at most a tenth', () => {
    const pauses = [1, 2, 3, 4, 5, 50].map((n) => backoff(n, { now: 0, notAfter: null, random: 0 }))
    expect(pauses).toEqual([minute, 10 * minute, 100 * minute, day, day, day])
    expect(backoff(1, { now: 0, notAfter: null, random: 0.999 })).toBeLessThan(1.1 * minute)
  })

  test('never uses up more than an eighth of what is left, so that no valid certificate runs out of chances', () => {
    expect(backoff(4, { now: 0, notAfter: 30 * day, random: 0 })).toBe(day)
    expect(backoff(4, { now: 0, notAfter: 2 * day, random: 0 })).toBe(6 * hour)
    expect(backoff(2, { now: 0, notAfter: 40_000, random: 0 })).toBe(5_000)
    expect(backoff(2, { now: 0, notAfter: 1_000, random: 0, floorMs: 2_000 })).toBe(2_000)
  })

  test('of an expired certificate is that of one that never was', () => {
    expect(backoff(1, { now: day, notAfter: 0, random: 0 })).toBe(minute)
  })
})

describe('first certificates of one name', () => {
  test('are at most four in any week, which leaves one of the five that CAs count for its renewal', () => {
    const now = 100 * day
    expect(firstAllowedAt([now - 3, now - 2, now - 1], now)).toBeNull()
    expect(firstAllowedAt([now - 40, now - 3, now - 2, now - 1], now)).toBe(now - 40 + 7 * day)
    expect(firstAllowedAt([now - 7 * day, now - 3, now - 2, now - 1], now)).toBeNull()
  })
})

describe('asks in vain', () => {
  test('are at most five in any hour', () => {
    const now = 100 * hour
    expect(allowedAt([now - 1, now - 2, now - 3, now - 4], now)).toBeNull()
    expect(allowedAt([now - 10, now - 20, now - 30, now - 40, now - 50], now)).toBe(now - 50 + hour)
    expect(allowedAt([now - 10, now - 20, now - 30, now - 40, now - 50, now - 60], now)).toBe(now - 50 + hour)
    expect(allowedAt([now - 10, now - 20, now - 30, now - 40, now - hour], now)).toBeNull()
  })
})

describe('renewal information (RFC 9773)', () => {
  const window = { start: '2026-11-22T00:00:00Z', end: '2026-11-24T00:00:00Z' }
  const [start, end] = [Date.parse(window.start), Date.parse(window.end)]

  test('a moment of the window is chosen once, and again only for another window', () => {
    const first = nextInfo(null, { data: { suggestedWindow: window }, retryAfterMs: 2 * hour }, start - day, 0.5)
    expect(first).toMatchObject({ start, end, selectedAt: start + day, nextPollAt: start - day + 2 * hour })
    expect(nextInfo(first, { data: { suggestedWindow: window }, retryAfterMs: null }, start, 0.9)?.selectedAt).toBe(start + day)
    const moved = { start: '2026-11-21T00:00:00Z', end: '2026-11-22T00:00:00Z' }
    expect(nextInfo(first, { data: { suggestedWindow: moved }, retryAfterMs: null }, start - 2 * day, 0)?.selectedAt).toBe(start - day)
  })

  test('a window that is over means now', () => {
    expect(selectWithin({ start, end }, end + 1, 0.5)).toBe(end + 1)
    expect(selectWithin({ start, end }, end - 10, 0)).toBe(end - 10)
  })

  test('nonsense changes nothing but the time of the next question', () => {
    const before = { start, end, explanationUrl: null, selectedAt: start, nextPollAt: 0 }
    for (const data of [null, 'x', {}, { suggestedWindow: { start: window.end, end: window.start } }, { suggestedWindow: { start: 'x', end: 1 } }]) {
      expect(nextInfo(null, { data, retryAfterMs: null }, 0, 0)).toBeNull()
      expect(nextInfo(before, { data, retryAfterMs: null }, 5, 0)).toEqual({ ...before, nextPollAt: 5 + 6 * hour })
    }
  })

  test('an explanation is a web address or nothing', () => {
    const read = (explanationURL: unknown) =>
      nextInfo(null, { data: { suggestedWindow: window, explanationURL }, retryAfterMs: null }, 0, 0)?.explanationUrl
    expect(read('https://ca.example/why')).toBe('https://ca.example/why')
    expect(read('javascript:alert(1)')).toBeNull()
    expect(read(7)).toBeNull()
  })

  test('Retry-After is heeded between a minute and a day', () => {
    expect([0, 1, 2 * hour, 9 * day].map(pollDelay)).toEqual([minute, minute, 2 * hour, day])
  })
})

test('a CA that is not heard is asked again at once; orders it hangs up on are spread over minutes', () => {
  expect(outagePause(0, 0)).toBe(1_000)
  const pauses = [1, 2, 3, 4].map((asks) => outagePause(asks, 0))
  expect(pauses.reduce((sum, pause) => sum + pause, 0)).toBeGreaterThan(5 * 60_000)
  expect(outagePause(50, 0)).toBeLessThan(failureWindowMs)
  expect(outagePause(4, 40_000)).toBe(5_000)
  expect(outagePause(4, 500)).toBe(1_000)
})
