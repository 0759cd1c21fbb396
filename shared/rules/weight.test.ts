import { expect, test } from 'vitest'
import type { ProjectRules } from '../project-rules'
import { LinearExpression, StepBudget } from './linear'
import { findExcess, ruleLimits, sizeText, weigh } from './weight'

const redirects = (count: number, source = (i: number) => `/a${i}`): Partial<ProjectRules> => ({
  redirects: Array.from({ length: count }, (_, i) => ({ source: source(i), destination: '/b', status: 308 })),
})

test('as many rules as people have are within the bounds; more are named', () => {
  expect(findExcess(redirects(1024, (i) => `/news/:year(\\d+)/:slug-${i}/:rest*`))).toBeNull()
  expect(findExcess(redirects(1025))).toBe('1025 redirects, and at most 1024 are allowed')
  const rateLimits = Array.from({ length: 65 }, () => ({ source: '/', requests: 1, windowSeconds: 1 }))
  expect(findExcess({ rateLimits })).toBe('65 rate limits, and at most 64 are allowed')
})

test('a short text that makes a large expression weighs what it makes', () => {
  const plain = weigh(redirects(1, () => '/aaaaaaaa'))
  const large = weigh(redirects(1, () => '/:x(a{900})'))
  expect(large).toBeGreaterThan(plain + 900 * 100)
  const had = {
    redirects: [{ source: '/', destination: '/b', status: 308 as const, has: [{ type: 'header' as const, key: 'x', value: '[ab]{900}' }] }],
  }
  expect(weigh(had)).toBeGreaterThan(plain + 900 * 100)
  const begun = performance.now()
  const many = { ...had, redirects: Array.from({ length: 2048 }, () => had.redirects[0]) as ProjectRules['redirects'] }
  // Not compiled to the end for the sake of a figure.
  expect(weigh(many)).toBeLessThan(2 * ruleLimits.projectWeight)
  expect(performance.now() - begun).toBeLessThan(5_000)
})

test('the JSON of rules is a quarter of their weight at most, whatever letters it is in', () => {
  const headers = [{ source: '/', headers: [{ key: 'X-A', value: '鉄道'.repeat(1000) }] }]
  expect(weigh({ headers })).toBeGreaterThanOrEqual(4 * Buffer.byteLength(JSON.stringify({ headers })))
})

test('letters and classes that stand often are matched as ever', () => {
  const matches = (source: string, text: string) => new LinearExpression(source).match(text, new StepBudget(1e6)) !== null
  expect(matches('a{3}b[a-c]{2}', 'aaabca')).toBe(true)
  expect(matches('a{3}b[a-c]{2}', 'aaabda')).toBe(false)
  expect(matches('é{2}a', 'ééa')).toBe(true)
})

test('sizes read as sizes', () => {
  expect([1, 1536, 4 * 1024 * 1024, 4.25 * 1024 * 1024].map(sizeText)).toEqual(['1 KiB', '2 KiB', '4 MiB', '4.3 MiB'])
})
