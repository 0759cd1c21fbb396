import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { rotateAfterMs, SessionKeys } from './session-keys'

const log = { info: () => {}, warn: () => {}, error: () => {} }
let directory: string
const open: SessionKeys[] = []
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tickets-'))
})
afterEach(() => {
  for (const keys of open.splice(0)) keys.close()
  rmSync(directory, { recursive: true, force: true })
})
const file = () => path.join(directory, 'ticket.keys')
function keysAt(now?: () => number) {
  const keys = new SessionKeys({ file: file(), log, ...(now && { now }) })
  open.push(keys)
  return keys
}
const age = (ms: number) => utimesSync(file(), new Date(Date.now() - ms), new Date(Date.now() - ms))

test('all workers have the same key of 48 bytes, in a file of their own', () => {
  const keys = [keysAt(), keysAt(), keysAt()]
  expect(keys[0]?.current).toHaveLength(48)
  expect(new Set(keys.map(({ current }) => current.toString('hex'))).size).toBe(1)
  expect(statSync(file()).mode & 0o777).toBe(0o600)
  expect(existsSync(`${file()}.lock`)).toBe(false)
})

test('after half a day one worker makes a new key, and the others take it over', () => {
  const [one, two] = [keysAt(), keysAt()]
  const before = one.current
  const told: Buffer[] = []
  two.onChange((key) => told.push(key))
  age(rotateAfterMs - 60_000)
  one.look()
  expect(one.current.equals(before)).toBe(true)
  age(rotateAfterMs + 1_000)
  one.look()
  expect(one.current.equals(before)).toBe(false)
  two.look()
  two.look()
  expect(two.current.equals(one.current)).toBe(true)
  expect(told).toHaveLength(1)
})

test('while another worker holds the lock nothing happens; a lock that a dead one left is broken', () => {
  const keys = keysAt()
  const before = keys.current
  age(rotateAfterMs + 1_000)
  writeFileSync(`${file()}.lock`, '')
  keys.look()
  expect(keys.current.equals(before)).toBe(true)
  utimesSync(`${file()}.lock`, new Date(0), new Date(0))
  keys.look()
  expect(keys.current.equals(before)).toBe(false)
})

test('a clock that went back renews the key instead of keeping it for years', () => {
  const keys = keysAt()
  const before = keys.current
  age(-90 * 86_400_000)
  keys.look()
  expect(keys.current.equals(before)).toBe(false)
})

test('a key that is cut, of another length or open to others is not used', () => {
  const keys = keysAt()
  for (const length of [0, 1, 47, 49]) {
    writeFileSync(file(), Buffer.alloc(length, 1))
    keys.look()
    expect(keys.current).toHaveLength(48)
    expect(readFileSync(file())).toHaveLength(48)
  }
  const own = keys.current
  writeFileSync(file(), Buffer.alloc(48, 2))
  chmodSync(file(), 0o644)
  utimesSync(file(), new Date(), new Date(Date.now() - 1_000))
  keys.look()
  expect(keys.current.equals(own)).toBe(true)
})

test('without a place to keep it each worker has its own', () => {
  rmSync(directory, { recursive: true })
  const [one, two] = [keysAt(), keysAt()]
  expect(one.current).toHaveLength(48)
  expect(one.current.equals(two.current)).toBe(false)
})
