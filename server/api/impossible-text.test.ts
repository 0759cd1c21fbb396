import { expect, test } from 'vitest'
import { refuseImpossibleText } from './impossible-text'

test('a body that nests hundreds of thousands of levels deep is refused, not a fault of the server', () => {
  const deep = JSON.parse('['.repeat(300_000) + ']'.repeat(300_000))
  expect(() => refuseImpossibleText(deep, 'body')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_INPUT' }))
  expect(() => refuseImpossibleText({ a: [{ b: { c: ['x'] } }] }, 'body')).not.toThrow()
})

test('text that cannot be kept is refused by its place', () => {
  expect(() => refuseImpossibleText({ a: [{ b: 'x\0' }] }, 'body')).toThrow(/^body\.a\.0\.b:/)
  expect(() => refuseImpossibleText({ ['\ud800']: 1 }, 'body')).toThrow(/field name of body/)
})
