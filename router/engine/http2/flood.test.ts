import { expect, test } from 'vitest'
import { FloodGuard } from './flood'

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
