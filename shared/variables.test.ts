import { expect, it } from 'vitest'
import { maxVariableBytes, nameCaution, ownedName, valueProblem } from './variables'
import { variableInput } from './views'

it('refuses values that no environment can hold, counted in bytes, and takes every other', () => {
  expect(valueProblem('a\0b')).toMatch(/NUL/)
  expect(valueProblem('\ud800')).toMatch(/Unicode/)
  expect(valueProblem('漢字'.repeat(25_000))).toMatch(/150000 bytes/)
  for (const value of ['', ' ', 'x'.repeat(maxVariableBytes), '漢字'.repeat(2002), 'line\nline', '😀']) expect(valueProblem(value)).toBeNull()
  const refused = variableInput.safeParse({ key: 'A', value: 'secret\0value' })
  expect(JSON.stringify(refused.error?.issues)).not.toContain('secret')
})

it('keeps the names that the platform owns, and warns of those that are easily misunderstood', () => {
  expect(['PATH', 'PORT', 'SWITCHYARD_BUILD'].map(ownedName)).not.toContain(null)
  expect(ownedName('PATHS')).toBeNull()
  expect(['LD_PRELOAD', 'NODE_OPTIONS', 'HOSTNAME'].map(nameCaution)).not.toContain(null)
  expect(nameCaution('DATABASE_URL')).toBeNull()
})
