import { expect, test } from 'vitest'
import { z } from 'zod'
import { wholeNumber, wholeNumberOr } from './query-number'

const schema = wholeNumber(1, 100)

test.each(['1', '100', 20, '007'])('%j is a whole number', (value) => {
  expect(schema.parse(value)).toBe(Number(value))
})

test.each(['0x10', '1e1', '0b1', '', ' ', ' 5', '5.0', '-5', '+5', '101', 0, 1.5, true, null, [5], 'NaN', '٣'])('%j is refused', (value) => {
  expect(schema.safeParse(value).success).toBe(false)
})

test('the API document shows an integer with its bounds and its default', () => {
  const limit = wholeNumberOr(20, 1, 100)
  expect(z.toJSONSchema(limit, { io: 'input' })).toMatchObject({ type: 'integer', minimum: 1, maximum: 100, default: 20 })
  expect(z.object({ limit }).parse({})).toEqual({ limit: 20 })
})
