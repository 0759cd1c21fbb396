import { describe, expect, test } from 'vitest'
import type { RequestView } from '@/shared/traffic'
import { formatCount, formatMs, formatShare } from './format-traffic'
import { mergeNewest } from './merge-requests'
import { reasonSentence, reasonWord } from './request-reason'
import { labelIndices, niceScale } from './scale'

const row = (id: number) => ({ id: String(id) }) as RequestView
const ids = (rows: RequestView[]) => rows.map(({ id }) => Number(id))

describe('requests on the page', () => {
  test('are newest first, each once, and bounded', () => {
    expect(ids(mergeNewest([row(3), row(4)], [row(2), row(1)], 10))).toEqual([4, 3, 2, 1])
    expect(ids(mergeNewest([row(2), row(3), row(3)], [row(2), row(1)], 10))).toEqual([3, 2, 1])
    expect(ids(mergeNewest([row(4)], [row(3), row(2), row(1)], 3))).toEqual([4, 3, 2])
    expect(ids(mergeNewest([], [row(3), row(2), row(1)], 2))).toEqual([3, 2, 1])
  })
})

describe('an axis', () => {
  test('ends on a round number at or above the highest value', () => {
    for (const max of [0.003, 0.7, 1, 3, 7, 99, 100, 101, 12_345, 9e9]) {
      const { top, ticks } = niceScale(max)
      expect(top).toBeGreaterThanOrEqual(max * 0.999_999)
      expect(top).toBeLessThanOrEqual(max * 2.5)
      expect(ticks[0]).toBe(0)
      expect(ticks.at(-1)).toBeCloseTo(top)
      expect(ticks.length).toBeLessThanOrEqual(4)
    }
    expect(niceScale(5_000_000, true).ticks.map((tick) => tick / 1024 ** 2)).toEqual([0, 2, 4, 6])
    expect(niceScale(0)).toEqual({ top: 1, ticks: [0, 1] })
  })

  test('has as many labels as fit', () => {
    expect(labelIndices(60, 6)).toEqual([0, 10, 20, 30, 40, 50])
    expect(labelIndices(3, 100)).toEqual([0, 1, 2])
    expect(labelIndices(0, 5)).toEqual([])
    expect(labelIndices(10, 0)).toEqual([0])
  })
})

test('figures are short and keep what matters', () => {
  expect([formatCount(0), formatCount(9_400), formatCount(12_430), formatCount(3_200_000)]).toEqual(['0', '9,400', '12.4K', '3.2M'])
  expect([formatMs(null), formatMs(0.84), formatMs(12.4), formatMs(1_440), formatMs(30_000)]).toEqual(['–', '0.8 ms', '12 ms', '1.4 s', '30 s'])
  expect([formatShare(0, 0), formatShare(0, 9), formatShare(1, 2_500), formatShare(3, 200), formatShare(1, 2)]).toEqual([
    '0 %',
    '0 %',
    '0.04 %',
    '1.5 %',
    '50 %',
  ])
})

test('what answered instead of the app is told in words, also what nobody gave words yet', () => {
  expect([reasonWord('rate-limited'), reasonSentence('client-left')]).toEqual([
    'rate limit',
    'The client disconnected before the response was complete.',
  ])
  expect([reasonWord('brand-new'), reasonSentence('brand-new')]).toEqual(['brand new', 'The router: brand new.'])
})
