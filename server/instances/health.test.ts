import { describe, expect, it } from 'vitest'
import { type InstanceRecord, judgeHealth } from './health'

const now = Date.parse('2026-01-01T12:00:00Z')
const ago = (seconds: number): Date => new Date(now - seconds * 1000)
const made: InstanceRecord = { state: 'healthy', createdAt: ago(900), startedAt: ago(900), stoppedAt: null, drainingSince: null, exit: null }
const present = (state: string): InstanceRecord => ({ ...made, state })
const ends = (count: number, secondsAgo: number, more: Partial<InstanceRecord> = {}): InstanceRecord[] =>
  Array.from({ length: count }, () => ({ ...made, exit: { code: 1 }, ...more, state: 'stopped', stoppedAt: ago(secondsAgo) }))
const judge = (...instances: InstanceRecord[]) => judgeHealth(instances, now)

describe('health of a live release', () => {
  it('is crashing while its instances keep ending, also when an instance runs for a moment', () => {
    expect(judge(...ends(2, 5))).toMatchObject({
      state: 'crashing',
      message: expect.stringContaining('2 times in the last 10 minutes'),
      since: ago(5).toISOString(),
    })
    expect(judge(...ends(2, 5), present('starting'))).toMatchObject({ state: 'crashing' })
    expect(judge(...ends(4, 5), present('healthy'))).toMatchObject({ state: 'crashing' })
  })

  it('is starting after a single end, and healthy once the new instance answers', () => {
    expect(judge(...ends(1, 5), present('starting'))).toMatchObject({ state: 'starting' })
    expect(judge(...ends(1, 5), present('healthy'))).toMatchObject({ state: 'healthy', message: null })
  })

  it('is healthy again when the newest instance has run for a minute, and while the app sleeps', () => {
    expect(judge(...ends(4, 61), present('healthy'))).toMatchObject({ state: 'healthy' })
    expect(judge(present('sleeping'))).toMatchObject({ state: 'healthy' })
  })

  it('does not count ends that the engine, a newer deployment or a past hour caused', () => {
    const found = [...ends(4, 5, { exit: { byEngine: true } }), ...ends(4, 5, { drainingSince: ago(6) }), ...ends(4, 3600)]
    expect(judge(...found)).toMatchObject({ state: 'down', message: expect.stringContaining('No instance is running') })
  })

  it('is down, not crashing, when no instance can be started', () => {
    const failed = ends(4, 5, { startedAt: null, exit: null })
    expect(judge(...failed)).toMatchObject({ state: 'down', message: expect.stringContaining('could not be started') })
  })

  it('says that an instance runs when it runs and fails its health check', () => {
    expect(judge(present('unhealthy'))).toMatchObject({ state: 'down', message: expect.stringContaining('The instance runs') })
  })
})
