import { describe, expect, it } from 'vitest'
import { drain } from './drain'

describe('drain', () => {
  it('resolves when the last request has ended', async () => {
    let left = 3
    const result = await drain({ inFlight: async () => left-- - 1, deadlineMs: 60_000 })
    expect(result.drained).toBe(true)
  })

  it('gives up at the deadline, and says so', async () => {
    const result = await drain({ inFlight: async () => 1, deadlineMs: 120 })
    expect(result.drained).toBe(false)
    expect(result.waitedMs).toBeGreaterThanOrEqual(120)
  })

  it('takes a count it cannot have for busy', async () => {
    expect(await drain({ inFlight: () => Promise.reject(new Error('router gone')), deadlineMs: 60 })).toMatchObject({ drained: false })
    expect(await drain({ inFlight: () => new Promise(() => {}), deadlineMs: 60 })).toMatchObject({ drained: false })
  })

  it('ends on abort', async () => {
    const controller = new AbortController()
    const result = drain({ inFlight: async () => 1, deadlineMs: 600_000, signal: controller.signal })
    controller.abort()
    expect((await result).drained).toBe(false)
  })
})
