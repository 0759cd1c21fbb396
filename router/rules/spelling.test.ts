import { expect, test } from 'vitest'
import { properSpelling } from './spelling'

const slashes = '/'.repeat(200_000)

test.each([
  [true, `${slashes}x`, '/x/'],
  [true, `/x${slashes}`, '/x/'],
  [false, `${slashes}x/`, '/x'],
  [false, `/x${slashes}`, '/x'],
])('a run of slashes costs no more than its length (trailingSlash %s)', (trailingSlash, path, proper) => {
  expect(properSpelling(path, { cleanUrls: true, trailingSlash })).toBe(proper)
})
