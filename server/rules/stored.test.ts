import { expect, test } from 'vitest'
import { readStored } from './stored'

const digest = 'a'.repeat(64)
const redirect = { source: '/a', destination: '/b', status: 308 }

test('valid rules are read as they are', () => {
  const stored = { cleanUrls: true, protection: { kind: 'token', digests: [digest] }, redirects: [redirect] }
  expect(readStored(stored)).toMatchObject({ policy: stored, invalid: null })
  expect(readStored(null)).toEqual({ policy: {}, invalid: null, weight: 0 })
})

test.each<[string, unknown, RegExp]>([
  ['protection of an unknown kind', { protection: { kind: 'passkey', keys: [] }, cleanUrls: true }, /^protection/],
  ['allowed addresses that are not a list', { allowedAddresses: '192.0.2.0/24' }, /^allowedAddresses: /],
  ['an unknown field', { invented: 1, cleanUrls: true }, /invented/],
  ['a rule with an invalid status', { redirects: [redirect, { ...redirect, status: 399 }] }, /^redirects\.1\.status: /],
  ['a rule that does not compile', { redirects: [redirect, { ...redirect, source: '/(' }] }, /^redirects\.1: .*cannot be understood/],
  ['more rules than the limit', { redirects: Array.from({ length: 1025 }, () => redirect) }, /^1025 redirects, and at most 1024/],
  ['a text', 'text', /expected object/],
  ['a list', [], /expected object/],
])('%s makes all rules of its column invalid, so that no access rule is ever ignored', (_, json, why) => {
  expect(readStored(json)).toEqual({ policy: {}, invalid: expect.stringMatching(why), weight: 0 })
})
