import { describe, expect, test } from 'vitest'
import type { RuleCondition } from '../project-rules'
import type { ConditionFacts } from './conditions'
import { StepBudget } from './linear'
import { compileRedirect, compileRewrite, findRuleProblems, matchRule } from './rules'
import { decodePath, encodePath } from './template'

const facts = (query = '', headers: Record<string, string> = {}, host = 'app.test'): ConditionFacts => ({
  host,
  header: (name) => headers[name],
  cookie: (name) => new Map((headers.cookie ?? '').split('; ').map((pair) => pair.split('=') as [string, string])).get(name),
  queryValue: (name) => new URLSearchParams(query).get(name) ?? undefined,
})

function redirect(source: string, destination: string, path: string, query = '', has?: RuleCondition[], headers?: Record<string, string>) {
  const rule = compileRedirect({ source, destination, status: 308, ...(has ? { has } : {}) })
  const captures = matchRule(rule, decodePath(path), facts(query, headers), new StepBudget(1e6))
  const to = captures && rule.destination.render(captures, query)
  return to && `${to.authority && `${to.scheme}://${to.authority}`}${to.path}${to.query}${to.hash}`
}

test.each([
  // source, destination, path, query → location
  ['/me', '/profile', '/me', '', '/profile'],
  ['/me', '/profile', '/me/', '', null],
  ['/me', '/profile', '/Me', '', null],
  ['/me', '/profile', '/me', '?a=1', '/profile?a=1'],
  ['/me', '/profile?b=2', '/me', '?a=1&b=1', '/profile?b=2&a=1'],
  ['/blog/:slug', '/news/:slug', '/blog/x', '', '/news/x'],
  ['/blog/:slug', '/news/:slug', '/blog/x/y', '', null],
  ['/blog/:slug*', '/news/:slug*', '/blog/a/b/c', '', '/news/a/b/c'],
  ['/blog/:slug*', '/news/:slug*', '/blog', '', '/news'],
  ['/blog/:slug*', '/:slug*', '/blog', '', '/'],
  ['/blog/:slug+', '/news/:slug+', '/blog', '', null],
  ['/post/:slug(\\d{1,})', '/news/:slug', '/post/123', '', '/news/123'],
  ['/post/:slug(\\d{1,})', '/news/:slug', '/post/abc', '', null],
  ['/(.*)', 'https://new.test/$1', '/a/b', '?q', 'https://new.test/a/b?q'],
  ['/:path((?!uk/).*)', 'https://new.test/:path', '/fr/a', '', 'https://new.test/fr/a'],
  ['/:path((?!uk/).*)', 'https://new.test/:path', '/uk/a', '', null],
  ['/:a-:b', '/:b-:a', '/x-y', '', '/y-x'],
  ['/old{/}?', '/new', '/old/', '', '/new'],
  ['/a/:x?', '/b/:x?', '/a', '', '/b'],
  ['/docs/:v.html', '/d/:v', '/docs/1.html', '', '/d/1'],
  ['/é/:x', '/ü/:x', '/%C3%A9/%C3%A4', '', '/%C3%BC/%C3%A4'],
  ['/s/:x', '/t?q=:x', '/s/a%26b', '', '/t?q=a%26b'],
  ['/s/:x', '/t#:x', '/s/a', '?k=1', '/t?k=1#a'],
  ['/p/:x', 'http://h.test:8080/:x', '/p/1', '', 'http://h.test:8080/1'],
  ['/u/:tenant', 'https://:tenant.app.test/', '/u/acme', '', 'https://acme.app.test/'],
  ['/u/:tenant', 'https://:tenant.app.test/', '/u/evil.test%23', '', null],
  // never another host
  ['/:path*', '/:path*', '//evil.test', '', null],
  ['/r(.*)', '$1', '/r//evil.test', '', '/evil.test'],
  ['/r(.*)', '/$1', '/r%5Cevil.test', '', '/evil.test'],
])('redirect %s → %s: %s%s gives %s', (source, destination, path, query, expected) => {
  expect(redirect(source, destination, path, query)).toBe(expected)
})

describe('conditions', () => {
  test.each<[RuleCondition, string, Record<string, string>, string | null]>([
    [{ type: 'header', key: 'X-Country', value: '(?<country>[a-z]{2})' }, '', { 'x-country': 'de' }, '/de'],
    [{ type: 'header', key: 'X-Country', value: '(?<country>[a-z]{2})' }, '', { 'x-country': 'deu' }, null],
    [{ type: 'query', key: 'country' }, '?country=fr', {}, '/fr?country=fr'],
    [{ type: 'cookie', key: 'country', value: '(?<country>.*)' }, '', { cookie: 'a=b; country=it' }, '/it'],
    [{ type: 'host', value: '(?<country>.*)\\.test' }, '', {}, '/app'],
    [{ type: 'host', value: 'app' }, '', {}, null],
  ])('%j', (condition, query, headers, expected) => {
    expect(redirect('/', '/:country', '/', query, [condition], headers)).toBe(expected)
  })

  test('missing keeps a rule from those who have it', () => {
    const rule = compileRedirect({ source: '/', destination: '/login', status: 307, missing: [{ type: 'cookie', key: 'session' }] })
    const matched = (headers: Record<string, string>) => matchRule(rule, '/', facts('', headers), new StepBudget(1000)) !== null
    expect(matched({})).toBe(true)
    expect(matched({ cookie: 'session=1' })).toBe(false)
  })
})

test('rules that cannot be are named with their reason', () => {
  const problems = findRuleProblems({
    redirects: [
      { source: '/ok', destination: '/', status: 308 },
      { source: 'no-slash', destination: '/', status: 308 },
      { source: '/(', destination: '/', status: 308 },
      { source: '/(a(b)c)', destination: '/', status: 308 },
      { source: '/a', destination: 'javascript:alert(1)', status: 308 },
      { source: '/a', destination: '/x\r\nSet-Cookie: a=b', status: 308 },
      { source: '/a', destination: 'https://user:pass@host/', status: 308 },
      { source: '/a', destination: 'project:x/y', status: 308 },
    ],
    headers: [
      { source: '/', headers: [{ key: 'Transfer-Encoding', value: 'chunked' }] },
      { source: '/', headers: [{ key: 'X-A', value: 'a\r\nX-B: c' }] },
      { source: '/', headers: [{ key: 'X A', value: '' }] },
      { source: '/', headers: [{ key: 'X-A', value: 'fine' }] },
    ],
    rewrites: [{ source: '/a', destination: '/b', has: [{ type: 'header', key: 'a', value: '(?<=x)' }] }],
  })
  expect(problems.map((p) => p.at)).toEqual([
    ...[1, 2, 3, 4, 5, 6, 7].map((i) => `redirects.${i}`),
    'rewrites.0',
    ...[0, 1, 2].map((i) => `headers.${i}`),
  ])
})

test('patterns that would hang a backtracking engine end at once', () => {
  const sources = ['/(.*)a(.*)b(.*)c(.*)d(.*)e', '/((?:a+)+)b', '/:a-:b-:c-:d-:e/x', '/((?:[a-z]+)*)1', '/:a(.*)/:b(.*)/:c(.*)/:d(.*)x']
  const text = `/${'aaaa-bbbb/cccc/dd'.repeat(200)}`
  const begun = performance.now()
  for (const source of sources) expect(redirect(source, '/', text)).toBeNull()
  expect(performance.now() - begun).toBeLessThan(2000)
})

test('a literal and a first segment are known for the index', () => {
  const pattern = (source: string) => compileRewrite({ source, destination: '/' }).pattern
  expect(pattern('/a/b')).toMatchObject({ literal: '/a/b', firstSegment: '/a' })
  expect(pattern('/a/:x')).toMatchObject({ literal: null, firstSegment: '/a' })
  expect(pattern('/a:x')).toMatchObject({ literal: null, firstSegment: null })
  expect(pattern('/a(.*)')).toMatchObject({ firstSegment: null })
  expect(pattern('/:x')).toMatchObject({ firstSegment: null })
  expect(pattern('/a{/:x}?')).toMatchObject({ firstSegment: '/a' })
})

test.each([
  ['/a%20b', '/a b'],
  ['/%61dmin', '/admin'],
  ['/a/../b', '/b'],
  ['/a/%2e%2e/b', '/b'],
  ['/a/./b/.', '/a/b/'],
  ['/../../x', '/x'],
  ['/a%2Fb', '/a%2Fb'],
  ['/a%5cb', '/a%5cb'],
  ['/%ff', '/%ff'],
  ['/.well-known/x', '/.well-known/x'],
])('the path %s is seen as %s', (sent, seen) => {
  expect(decodePath(sent)).toBe(seen)
})

test('what is decoded is encoded again as it was', () => {
  for (const path of ['/a%20b', '/a%2Fb', '/%C3%A9', '/100%25', '/a%3Fb%23c', "/a!$&'()*+,;=:@-._~"]) expect(encodePath(decodePath(path))).toBe(path)
})

test.each([
  ['/café', '/caf%C3%A9'],
  ['/xĠHTTP/1.1čĊHost:b', '/x%C4%A0HTTP/1.1%C4%8D%C4%8AHost:b'],
  ['/a?q=Ċ', '/a?q=%C4%8A'],
])('no letter of a destination (%s) becomes a byte that ends the request line', (destination, target) => {
  const to = compileRewrite({ source: '/a', destination }).destination.render(new Map(), '')
  expect(`${to?.path}${to?.query}`).toBe(target)
})
