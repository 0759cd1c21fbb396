import { describe, expect, test } from 'vitest'
import { lifetimeOf, parseDirectives, tagsOf } from './freshness'

const read = (headers: Record<string, string>) => (name: string) => headers[name]
const anyone = { authorized: false }
const fresh = (headers: Record<string, string>, status = 200, request = anyone) => {
  const lifetime = lifetimeOf(request, status, read(headers))
  return lifetime && lifetime.freshMs / 1000
}

describe('what a shared cache may store (RFC 9111 §3)', () => {
  test.each([
    ['s-maxage=60', 60],
    ['public, max-age=60', 60],
    ['PUBLIC, Max-Age=60', 60],
    ['public, max-age="60"', 60],
    ['s-maxage=10, max-age=60', 10],
    ['public, max-age=60, max-age=20', 20],
    // Only what says so outright.
    ['max-age=60', null],
    ['public', null],
    ['', null],
    ['public, max-age=0', null],
    ['public, max-age=-1', null],
    ['public, max-age=1.5', null],
    ['public, max-age=x', null],
    ['public, s-maxage=0, max-age=60', null],
    ['private, s-maxage=60', null],
    ['private="set-cookie", s-maxage=60', null],
    ['no-store, s-maxage=60', null],
    ['no-cache, s-maxage=60', null],
    ['no-cache="x-a", s-maxage=60', null],
    ['s-maxage=60, must-revalidate', 60],
    ['x="no-store", s-maxage=60', 60],
  ])('Cache-Control: %s → %s', (value, seconds) => {
    expect(fresh({ 'cache-control': value })).toBe(seconds)
  })
  test('Expires counts with public, against Date', () => {
    const dates = { date: 'Sun, 06 Nov 1994 08:49:37 GMT', expires: 'Sun, 06 Nov 1994 08:50:37 GMT' }
    expect(fresh({ 'cache-control': 'public', ...dates })).toBe(60)
    expect(fresh({ 'cache-control': 'public, max-age=5', ...dates })).toBe(5)
    expect(fresh({ 'cache-control': 'public', date: dates.date, expires: '0' })).toBeNull()
    expect(fresh(dates)).toBeNull()
  })
  test.each([
    [{ 'set-cookie': 'a=b' }, 200],
    [{ vary: '*' }, 200],
    [{ vary: 'accept, *' }, 200],
    [{ 'content-range': 'bytes 0-1/2' }, 200],
    [{}, 206],
    [{}, 500],
    [{}, 201],
    [{}, 304],
    [{}, 401],
  ])('never %j with %i', (headers, status) => {
    expect(fresh({ 'cache-control': 'public, s-maxage=60', ...headers }, status)).toBeNull()
  })
  test.each([200, 203, 204, 300, 301, 302, 307, 308, 404, 410])('%i may be stored', (status) => {
    expect(fresh({ 'cache-control': 's-maxage=60' }, status)).toBe(60)
  })
  test('an answer to Authorization only where the instance allows it (§3.5)', () => {
    const signed = { authorized: true }
    expect(fresh({ 'cache-control': 's-maxage=60' }, 200, signed)).toBe(60)
    expect(fresh({ 'cache-control': 'public, max-age=60' }, 200, signed)).toBe(60)
    expect(fresh({ 'cdn-cache-control': 'max-age=60' }, 200, signed)).toBeNull()
    expect(fresh({ 'cdn-cache-control': 'max-age=60, must-revalidate' }, 200, signed)).toBe(60)
  })
  test('CDN-Cache-Control counts alone, when it is well-formed (RFC 9213)', () => {
    const other = { 'cache-control': 'private, no-store' }
    expect(fresh({ ...other, 'cdn-cache-control': 'max-age=60' })).toBe(60)
    expect(fresh({ 'cache-control': 'public, max-age=60', 'cdn-cache-control': 'no-store' })).toBeNull()
    expect(fresh({ ...other, 'cdn-cache-control': 'max-age = 60; =' })).toBeNull()
    expect(fresh({ 'cache-control': 's-maxage=5', 'cdn-cache-control': '' })).toBe(5)
    expect(fresh({ 'cache-control': 's-maxage=5', 'cdn-cache-control': '???' })).toBe(5)
  })
  test('stale-while-revalidate and stale-if-error (RFC 5861), not against must-revalidate', () => {
    const value = 's-maxage=1, stale-while-revalidate=59, stale-if-error=600'
    expect(lifetimeOf(anyone, 200, read({ 'cache-control': value }))).toEqual({
      freshMs: 1000,
      staleWhileRevalidateMs: 59_000,
      staleIfErrorMs: 600_000,
    })
    expect(lifetimeOf(anyone, 200, read({ 'cache-control': `${value}, must-revalidate` }))).toEqual({
      freshMs: 1000,
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 0,
    })
    expect(lifetimeOf(anyone, 200, read({ 'cache-control': 's-maxage=0, stale-while-revalidate=60' }))?.staleWhileRevalidateMs).toBe(60_000)
  })
})

test('directives with quotes and commas inside', () => {
  expect([...parseDirectives('a, b=1, c="x, y=2", D = 3')]).toEqual([
    ['a', null],
    ['b', '1'],
    ['c', 'x, y=2'],
    ['d', '3'],
  ])
})

test('tags of both fields, each once', () => {
  expect(tagsOf(read({ 'cache-tag': 'a, b,,a', 'surrogate-key': 'b c  d' }))).toEqual(['a', 'b', 'c', 'd'])
})

test.each(['X-Forwarded-For', 'accept, x-real-ip', 'X-Request-Id', 'Forwarded', 'x_forwarded_for', '*'])('Vary: %s is each visitor’s own', (vary) => {
  expect(fresh({ 'cache-control': 's-maxage=5', vary })).toBeNull()
  expect(fresh({ 'cache-control': 's-maxage=5', vary: 'Accept, X-Forwarded-Proto, X-Forwarded-Host, Host' })).toBe(5)
})
