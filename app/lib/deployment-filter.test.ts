import { expect, it } from 'vitest'
import { filterOf, queryOf, searchOf } from './deployment-filter'

it('the filter of the deployment list survives its way through the address', () => {
  const filter = { status: 'ROLLED_BACK', environment: 'staging', branch: 'feature/ü&x', author: 'Ada L.' } as const
  expect(filterOf(new URLSearchParams(queryOf(filter)))).toEqual(filter)
  expect(queryOf({})).toBe('')
})

it('an address with a status that does not exist or a text that is too long shows the list without that filter', () => {
  expect(filterOf(new URLSearchParams({ status: 'lost', branch: 'x'.repeat(251), author: '  ', environment: 'production' }))).toEqual({
    environment: 'production',
  })
  expect(filterOf(searchOf({ status: ['live', 'failed'], branch: ['main', 'other'], author: undefined }))).toEqual({ branch: 'main' })
})
