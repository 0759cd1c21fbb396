import { expect, test } from 'vitest'
import { FloodGuard, Offenders } from './flood'

test('an address is suspected for half a minute after its last flood', () => {
  const offenders = new Offenders()
  offenders.note('192.0.2.1', 1_000)
  expect(offenders.has('192.0.2.1', 30_999)).toBe(true)
  offenders.note('192.0.2.1', 30_999)
  expect(offenders.has('192.0.2.1', 60_998)).toBe(true)
  expect(offenders.has('192.0.2.2', 31_000)).toBe(false)
  expect(offenders.has('192.0.2.1', 60_999)).toBe(false)
  expect(offenders.size).toBe(0)
})

test('a flood from very many addresses takes no more memory: the oldest are forgotten', () => {
  const offenders = new Offenders()
  for (let i = 0; i < 10_000; i++) offenders.note(`address ${i}`, i)
  expect(offenders.size).toBe(4_096)
  expect(offenders.has('address 9999', 10_000)).toBe(true)
  expect(offenders.has('address 0', 10_000)).toBe(false)
})

test('a suspect may cancel some requests and not hundreds; anybody else those of a page, more than once', () => {
  const allowed = (suspect: boolean) => {
    const guard = new FloodGuard(suspect)
    let count = 0
    while (guard.reset()) count++
    return count
  }
  expect(allowed(true)).toBeGreaterThanOrEqual(20)
  expect(allowed(true)).toBeLessThan(100)
  expect(allowed(false)).toBeGreaterThanOrEqual(400)
})
