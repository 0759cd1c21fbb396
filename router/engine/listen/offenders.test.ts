import { expect, test } from 'vitest'
import { Offenders } from './offenders'

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
  for (let i = 0; i < 10_000; i++) offenders.note(`192.0.${i >> 8}.${i & 255}`, i)
  expect(offenders.size).toBe(4_096)
  expect(offenders.has('192.0.39.15', 10_000)).toBe(true)
  expect(offenders.has('192.0.0.0', 10_000)).toBe(false)
})

test('a connection from a suspected address begins a second later, one from the same /64 too, any other at once', () => {
  const offenders = new Offenders()
  expect(offenders.none).toBe(true)
  offenders.note('2001:db8::1', 1_000)
  expect(offenders.none).toBe(false)
  expect(offenders.holdBack('2001:db8::2', 2_000)).toBe(1_000)
  expect(offenders.holdBack('2001:db8:0:1::1', 2_000)).toBe(0)
  expect(offenders.holdBack('2001:db8::1', 31_000)).toBe(0)
})
