import { expect, test } from 'vitest'
import { ConnectTimeout, faultOf, sentNothing } from './faults'

const fault = (code: string, syscall: string) => faultOf(Object.assign(new Error(code), { code, syscall }))

test.each(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])('%s: nothing was sent only where there was no connection yet', (code) => {
  expect(sentNothing(fault(code, 'connect'))).toBe(true)
  expect(sentNothing(fault(code, 'read'))).toBe(false)
  expect(sentNothing(fault(code, 'write'))).toBe(false)
})

test('no connection in time: nothing was sent; a reset: who knows', () => {
  expect(sentNothing(faultOf(new ConnectTimeout()))).toBe(true)
  expect(sentNothing(fault('ECONNRESET', 'read'))).toBe(false)
  expect(sentNothing(fault('EPIPE', 'write'))).toBe(false)
})
