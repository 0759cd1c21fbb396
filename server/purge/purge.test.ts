import { expect, test } from 'vitest'
import { checkAllAnswered } from './purge'

test.each([
  [0, 2],
  [1, 2],
])('%i of %i routers that answered are too few: the others may go on sending what was to be forgotten', (answered, expected) => {
  const details = { nextAction: expect.stringContaining('again') }
  expect(() => checkAllAnswered(answered, expected)).toThrow(expect.objectContaining({ code: 'ERR_UNAVAILABLE', details }))
})

test('an old worker that drains beside the new ones is one more', () => {
  expect(() => checkAllAnswered(3, 2)).not.toThrow()
})
