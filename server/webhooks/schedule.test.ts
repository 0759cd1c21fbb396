import { expect, test } from 'vitest'
import { wants } from '@/shared/webhooks'
import { pauseAfter, retryAfterMs } from './schedule'

const hour = 3_600_000

test('a delivery is attempted for three days, after ever longer pauses', () => {
  const pauses: number[] = []
  for (let attempts = 1; ; attempts++) {
    const pause = pauseAfter(attempts, { random: 0.5 })
    if (pause === null) break
    pauses.push(pause)
  }
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b))
  expect(pauses[0]).toBe(5_000)
  const days = pauses.reduce((sum, pause) => sum + pause, 0) / (24 * hour)
  expect(days).toBeGreaterThan(2.9)
  expect(days).toBeLessThan(3.1)
})

test('Retry-After is followed as seconds or as a date, up to ten hours, and never shortens a pause', () => {
  const now = Date.parse('2026-11-30T12:00:00Z')
  expect(retryAfterMs('120', now)).toBe(120_000)
  expect(retryAfterMs('Mon, 30 Nov 2026 12:01:00 GMT', now)).toBe(60_000)
  expect(retryAfterMs('soon', now)).toBeNull()
  expect(retryAfterMs(undefined, now)).toBeNull()
  expect(pauseAfter(1, { retryAfterMs: 120_000, random: 0.5 })).toBe(120_000)
  expect(pauseAfter(1, { retryAfterMs: 1, random: 0.5 })).toBe(5_000)
  expect(pauseAfter(1, { retryAfterMs: 100 * hour, random: 0.5 })).toBe(10 * hour)
})

test('a webhook gets the kinds it asks for, by name, by group, or all', () => {
  expect(wants(['deployment.ready'], 'deployment.ready')).toBe(true)
  expect(wants(['deployment.ready'], 'deployment.failed')).toBe(false)
  expect(wants(['domain.*', 'deployment.*'], 'deployment.preview.requested')).toBe(true)
  expect(wants(['domain.*'], 'deployment.ready')).toBe(false)
  expect(wants(['*'], 'certificate.issued')).toBe(true)
})
