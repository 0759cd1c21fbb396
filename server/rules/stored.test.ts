import { expect, test } from 'vitest'
import { readStored } from './stored'

const digest = 'a'.repeat(64)

test('what is well is read as it is', () => {
  const stored = { cleanUrls: true, protection: { kind: 'token', digests: [digest] }, redirects: [{ source: '/a', destination: '/b', status: 308 }] }
  expect(readStored(stored)).toMatchObject({ policy: stored, unreadAccess: [], unusable: null, leftOut: [] })
  expect(readStored(null)).toMatchObject({ policy: {}, unreadAccess: [], unusable: null })
})

test.each([
  ['protection', { kind: 'passkey', keys: [] }],
  ['protection', { kind: 'basic', users: 'ann' }],
  ['allowedAddresses', '192.0.2.0/24'],
  ['maintenance', true],
])('%s that cannot be read is never taken for none', (field, value) => {
  const read = readStored({ [field]: value, cleanUrls: true })
  expect(read.unreadAccess).toEqual([field])
  expect(read.policy).toEqual({ cleanUrls: true })
})

test('one rule that cannot be read, or not be compiled, costs itself alone and is named', () => {
  const read = readStored({
    redirects: [
      { source: '/a', destination: '/b', status: 308 },
      { source: '/c', destination: '/d', status: 399 },
      { source: '/(', destination: '/d', status: 308 },
      { source: '/e', destination: '/f', status: 307 },
    ],
    balance: 'by-moon',
    invented: 1,
  })
  expect(read.policy.redirects?.map(({ source }) => source)).toEqual(['/a', '/e'])
  expect(read.policy.balance).toBeUndefined()
  expect(read.leftOut).toEqual([
    expect.stringMatching(/^redirects 2 is not understood/),
    expect.stringMatching(/^"balance" is not understood/),
    '"invented" is not known to this version',
    expect.stringMatching(/^redirects 3: .*cannot be understood/),
  ])
  expect(read.unreadAccess).toEqual([])
})

test('what is no rules at all, or far too many, says nothing about who may come in', () => {
  for (const odd of ['text', 7, [], true]) expect(readStored(odd)).toMatchObject({ unreadAccess: ['protection', 'allowedAddresses', 'maintenance'] })
  const redirects = Array.from({ length: 50_000 }, (_, i) => ({ source: `/a${i}`, destination: '/b', status: 308 }))
  expect(readStored({ redirects }).unusable).toMatch(/at most 8 MiB/)
  const named = readStored({ redirects: Array.from({ length: 500 }, () => ({ source: 1 })) }).leftOut
  expect(named).toHaveLength(5)
  expect(named[4]).toBe('496 more parts')
})
