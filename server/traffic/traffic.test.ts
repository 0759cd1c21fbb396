import type { Pool } from 'pg'
import { describe, expect, test } from 'vitest'
import { latencyBoundsMs } from '@/shared/link'
import { percentile } from '@/shared/traffic'
import { expiriesOf } from './expiries'
import { metricsText } from './metrics'
import { MinuteStore } from './minutes'
import { accessReport, type CheckedCounters } from './reports'
import { TrafficTotals } from './totals'

const counters = (change: Partial<CheckedCounters> = {}): CheckedCounters => ({
  projectId: 'p',
  deploymentId: 'd',
  host: 'a.test',
  instanceId: 'i',
  requests: 1,
  durationMs: 5,
  statuses: [0, 0, 1, 0, 0, 0],
  bytesIn: 1,
  bytesOut: 2,
  cacheHits: 0,
  latency: latencyBoundsMs.map(() => 0).concat(1),
  ...change,
})

describe('percentiles', () => {
  const histogram = (counts: Record<number, number>) => [...latencyBoundsMs, Number.POSITIVE_INFINITY].map((bound) => counts[bound] ?? 0)

  test('are read within the bucket in which they fall', () => {
    expect(percentile(histogram({ 10: 100 }), 0.5)).toBe(7.5)
    expect(percentile(histogram({ 1: 50, 100: 50 }), 0.5)).toBe(1)
    expect(percentile(histogram({ 1: 50, 100: 50 }), 0.99)).toBeCloseTo(99)
  })

  test('of nothing are nothing; beyond the last bound they are the last bound', () => {
    expect(percentile(histogram({}), 0.5)).toBeNull()
    expect(percentile([], 0.5)).toBeNull()
    expect(percentile(histogram({ [Number.POSITIVE_INFINITY]: 3 }), 0.5)).toBe(30_000)
  })

  test('never go down as the share goes up', () => {
    for (let seed = 1; seed < 50; seed++) {
      const latency = histogram(Object.fromEntries(latencyBoundsMs.map((bound, i) => [bound, (seed * (i + 7) * 31) % 13])))
      const values = [0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 1].map((share) => percentile(latency, share) ?? 0)
      expect(values).toEqual([...values].sort((a, b) => a - b))
    }
  })
})

describe('minutes on their way to the database', () => {
  test('are kept while it is away, with what came meanwhile added, and written once', async () => {
    const written: { requests: number; statuses: number[]; host: string }[][] = []
    let away = true
    const query = async (_sql: string, [json]: [string]) => {
      if (away) throw new Error('away')
      written.push(JSON.parse(json))
    }
    const store = new MinuteStore({ query } as unknown as Pool)
    const at = Date.UTC(2026, 0, 1, 12, 0, 30)
    store.add(at, counters())
    store.add(at + 10_000, counters())
    store.add(at, counters({ projectId: null }))
    const failed = store.flush()
    store.add(at, counters({ requests: 3, statuses: [0, 0, 3, 0, 0, 0] }))
    await expect(failed).rejects.toThrow('away')
    away = false
    store.add(at + 60_000, counters({ host: 'b.test' }))
    await store.flush()
    await store.flush()
    expect(written).toHaveLength(1)
    expect(written[0]?.map(({ host, requests, statuses }) => [host, requests, statuses[2]])).toEqual([
      ['a.test', 5, 5],
      ['b.test', 1, 1],
    ])
  })
})

test('lines with what Postgres cannot keep are changed, not refused', () => {
  const line = {
    ...{ at: 1, requestId: 'r', projectId: 'p', deploymentId: null, instanceId: null, host: 'h', method: 'GET', status: 200 },
    ...{ durationMs: 1, upstreamMs: null, bytesIn: 0, bytesOut: 0, cache: 'none', protocol: 'h2', scheme: 'https', clientIp: '::1', reason: null },
  }
  const parsed = accessReport.parse({ lines: [{ ...line, target: '/\u0000', userAgent: '\ud800x' }], dropped: 0 })
  expect(parsed.lines[0]).toMatchObject({ target: '/\uFFFD', userAgent: '\uFFFDx' })
})

test('label values of a scrape cannot break out of their line', () => {
  const text = metricsText({
    hosts: [{ ...counters(), projectId: 'p', project: 'a"b\\c\nd', host: 'x' }],
    inFlight: null,
    ejected: [],
    certificates: [],
    routers: { connected: 1, expected: 1, tableVersion: null },
    droppedLines: 0,
  })
  expect(text).toContain('project="a\\"b\\\\c\\nd"')
  expect(text).not.toContain('switchyard_http_requests_in_flight')
  expect(text).toMatch(/switchyard_http_request_duration_seconds_sum\{.*\} 0\.005\n/)
})

describe('what Prometheus reads', () => {
  test('has one expiry a host, of the certificate that is served', () => {
    const at = (days: number) => new Date(Date.UTC(2026, 0, days))
    const row = (host: string, source: string, days: number, certificateMode = 'automatic') => ({
      source,
      notAfter: at(days),
      domain: { hostname: host, projectId: 'p', certificateMode },
    })
    const rows = [
      row('both.test', 'acme', 20),
      row('both.test', 'uploaded', 30),
      row('own.test', 'acme', 30, 'uploaded'),
      row('own.test', 'uploaded', 20, 'uploaded'),
      row('ended.test', 'uploaded', 5, 'uploaded'),
      row('ended.test', 'acme', 20, 'uploaded'),
    ]
    expect(expiriesOf(rows, at(10).getTime()).map(({ host, notAfter }) => [host, notAfter])).toEqual([
      ['both.test', at(20)],
      ['own.test', at(20)],
      ['ended.test', at(20)],
    ])
  })

  test('has room for newcomers: the host that was idle longest gives way', () => {
    const totals = new TrafficTotals(2)
    for (const host of ['a.test', 'b.test', 'a.test', 'c.test']) totals.add(counters({ host }))
    expect(totals.hostsOf(new Set(['p'])).map(({ host, requests }) => [host, requests])).toEqual([
      ['a.test', 2],
      ['c.test', 1],
    ])
  })
})
