import { describe, expect, it } from 'vitest'
import { isWorthRetrying, wireErrorOf } from './errors'

describe('wireErrorOf', () => {
  it('takes the platform at its word', () => {
    const appError = { code: 'ERR_BUILD', message: 'The build ended with 1.', nextAction: 'Fix it.' }
    expect(wireErrorOf({ message: 'x', data: { appError, code: 'UNPROCESSABLE_CONTENT' } })).toBe(appError)
  })
  it('says that the control plane is away when nothing answered, and that apps keep serving', () => {
    for (const nothing of [new TypeError('Failed to fetch'), undefined, 'text']) {
      const error = wireErrorOf(nothing)
      expect(error.code).toBe('ERR_UNAVAILABLE')
      expect(error.stillServing).toMatch(/keep serving/)
    }
  })
  it('tries again only what another try can change', () => {
    expect(isWorthRetrying(new TypeError('Failed to fetch'))).toBe(true)
    expect(isWorthRetrying({ message: 'no', data: { appError: { code: 'ERR_NOT_FOUND', message: 'no' } } })).toBe(false)
  })
})
