import { expect, test } from 'vitest'
import { latencyBoundsMs } from '@/shared/link'
import { between, moreErrors, type Sample, shareBounds, slower } from './watch-judge'

const bounds = { errorPercent: 3, latencyFactor: 3, requests: 30 }

/** `ms`: duration of each answer; `slow`: so many of them took `slowMs`. */
function sample(requests: number, errors = 0, { ms = 20, slow = 0, slowMs = 900 } = {}): Sample {
  const latency: number[] = Array.from({ length: latencyBoundsMs.length + 1 }, () => 0)
  const bucketOf = (value: number) => latencyBoundsMs.findIndex((upper) => value <= upper)
  latency[bucketOf(ms)] = requests - slow
  latency[bucketOf(slowMs)] = (latency[bucketOf(slowMs)] ?? 0) + slow
  return { requests, errors, latency, seconds: 60 }
}

test.each([
  [10, 100],
  [1, 40],
  [2_000, 2_100],
])('the bounds of a share are those from which it is 2.33 standard deviations away (Wilson): %i of %i', (count, total) => {
  const { low, high } = shareBounds(count, total)
  for (const bound of [low, high]) expect(Math.abs(count / total - bound) / Math.sqrt((bound * (1 - bound)) / total)).toBeCloseTo(2.33, 6)
})

test('nothing is known of a share of no answers', () => expect(shareBounds(0, 0)).toEqual({ low: 0, high: 1 }))

test.each([
  ['5 % errors of many answers, none before', sample(2_000, 100), sample(5_000), true],
  ['5 % errors of too few answers to be sure', sample(200, 10), sample(5_000), false],
  ['every answer of fewer than 30 an error', sample(29, 29), sample(5_000), false],
  ['every answer an error', sample(40, 40), sample(200), true],
  ['no answers of the version before to compare with', sample(2_000, 2_000), sample(0), false],
  ['few answers of the version before, and every answer an error', sample(200, 200), sample(10), true],
  ['as many errors as before', sample(5_000, 500), sample(5_000, 500), false],
  ['2 points more than before', sample(5_000, 600), sample(5_000, 500), false],
  ['10 points more than before', sample(5_000, 1_000), sample(5_000, 500), true],
  ['no errors', sample(10_000), sample(10_000), false],
])('server errors: %s', (_, now, before, isWorse) => {
  expect(moreErrors(now, before, bounds) !== null).toBe(isWorse)
})

test.each([
  ['one in five answers is far above three times the usual time', sample(1_000, 0, { slow: 200 }), sample(1_000), true],
  ['one in fifty is: the 95th percentile is as before', sample(1_000, 0, { slow: 20 }), sample(1_000), false],
  ['too few answers to be sure', sample(30, 0, { slow: 3 }), sample(1_000), false],
  ['a fast app that is many times slower, but by a few milliseconds', sample(1_000, 0, { ms: 20 }), sample(1_000, 0, { ms: 2 }), false],
  ['the bucket of the histogram reaches above the bound', sample(1_000, 0, { ms: 110 }), sample(1_000, 0, { ms: 30 }), false],
  ['the version before had too few answers', sample(1_000, 0, { slow: 900 }), sample(10), false],
])('latency: %s', (_, now, before, isWorse) => {
  expect(slower(now, before, bounds) !== null).toBe(isWorse)
})

test('evidence names both versions’ figures and the bound', () => {
  expect(moreErrors(sample(2_000, 100), sample(5_000, 5), bounds)).toBe(
    '5 % of 2000 answers in 60 s were server errors, against 0.1 % of 5000 answers in 60 s of the version before. The bound is 3 points more.',
  )
})

test('recent answers are the difference of two counts', () => {
  const recent = between({ ...sample(100, 1), seconds: 30 }, { ...sample(400, 61), seconds: 90 })
  expect(recent).toMatchObject({ requests: 300, errors: 60, seconds: 60 })
})
