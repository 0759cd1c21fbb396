import { describe, expect, test } from 'vitest'
import { checkPreconditions, rangeStands } from './conditions'
import { acceptedEncodings, isCompressible } from './encodings'
import { formatHttpDate, parseHttpDate } from './http-date'
import { parseRange, parseRanges } from './ranges'

const reader = (headers: Record<string, string>) => (name: string) => headers[name]
const at = 784_111_777 // Sun, 06 Nov 1994 08:49:37 GMT

describe('dates (RFC 9110 §5.6.7)', () => {
  test.each(['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])('%s is read', (text) => {
    expect(parseHttpDate(text)).toBe(at)
    expect(formatHttpDate(at)).toBe('Sun, 06 Nov 1994 08:49:37 GMT')
  })
  test.each(['', 'yesterday', '1994-11-06', 'Sun, 06 Nov 1994 08:49:37 CET', '784111777'])('"%s" is none', (text) => {
    expect(parseHttpDate(text)).toBeNull()
  })
})

describe('preconditions (RFC 9110 §13)', () => {
  const validators = { etag: '"a"', lastModified: at }
  const date = formatHttpDate(at)
  const later = formatHttpDate(at + 1)
  const earlier = formatHttpDate(at - 1)
  test.each([
    [{}, 'send'],
    [{ 'if-none-match': '"a"' }, 'not-modified'],
    [{ 'if-none-match': 'W/"a"' }, 'not-modified'],
    [{ 'if-none-match': '"b", "a"' }, 'not-modified'],
    [{ 'if-none-match': '*' }, 'not-modified'],
    [{ 'if-none-match': '"b"' }, 'send'],
    [{ 'if-none-match': '"b", "with,comma\\"' }, 'send'],
    // If-None-Match wins over If-Modified-Since, both ways.
    [{ 'if-none-match': '"b"', 'if-modified-since': date }, 'send'],
    [{ 'if-none-match': '"a"', 'if-modified-since': earlier }, 'not-modified'],
    [{ 'if-modified-since': date }, 'not-modified'],
    [{ 'if-modified-since': earlier }, 'send'],
    [{ 'if-modified-since': 'nonsense' }, 'send'],
    [{ 'if-match': '"a"' }, 'send'],
    [{ 'if-match': '*' }, 'send'],
    [{ 'if-match': 'W/"a"' }, 'failed'],
    [{ 'if-match': '"b"' }, 'failed'],
    // If-Match wins over If-Unmodified-Since.
    [{ 'if-match': '"a"', 'if-unmodified-since': earlier }, 'send'],
    [{ 'if-unmodified-since': date }, 'send'],
    [{ 'if-unmodified-since': later }, 'send'],
    [{ 'if-unmodified-since': earlier }, 'failed'],
    [{ 'if-match': '"a"', 'if-none-match': '"a"' }, 'not-modified'],
  ] as const)('%j → %s', (headers, verdict) => {
    expect(checkPreconditions(reader(headers), validators)).toBe(verdict)
  })
  test('nothing is "not modified" that has no validators', () => {
    expect(checkPreconditions(reader({ 'if-modified-since': date, 'if-none-match': '"a"' }), { etag: null, lastModified: null })).toBe('send')
    expect(checkPreconditions(reader({ 'if-match': '"a"' }), { etag: null, lastModified: null })).toBe('failed')
  })
  test.each([
    [undefined, true],
    ['"a"', true],
    ['W/"a"', false],
    ['"b"', false],
    [date, true],
    [later, false],
    ['nonsense', false],
  ])('If-Range: %s → %s', (value, stands) => {
    expect(rangeStands(value, validators)).toBe(stands)
  })
})

describe('ranges (RFC 9110 §14)', () => {
  test.each([
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=0-', { first: 0, last: 9 }],
    ['bytes=5-100', { first: 5, last: 9 }],
    ['bytes=-3', { first: 7, last: 9 }],
    ['bytes=-30', { first: 0, last: 9 }],
    ['Bytes=2-3', { first: 2, last: 3 }],
    ['bytes=0-2,3-4', { first: 0, last: 4 }],
    ['bytes=0-5, 2-3', { first: 0, last: 5 }],
    ['bytes=0-1,8-9', 'whole'],
    ['bytes=3-4,50-60', { first: 3, last: 4 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-4', 'whole'],
    ['bytes=a-b', 'whole'],
    ['bytes=', 'whole'],
    ['bytes=--1', 'whole'],
    ['items=0-1', 'whole'],
    [`bytes=${'0-1,'.repeat(20)}0-1`, 'whole'],
    ['bytes=99999999999999999999-', 'whole'],
  ])('%s of 10 bytes', (text, expected) => {
    expect(parseRange(text, 10)).toEqual(expected)
  })
  test.each([
    [
      'bytes=6-7,0-1,3-',
      [
        { first: 0, last: 1 },
        { first: 3, last: 9 },
      ],
    ],
    [
      'bytes=0-0,2-2,-1',
      [
        { first: 0, last: 0 },
        { first: 2, last: 2 },
        { first: 9, last: 9 },
      ],
    ],
    ['bytes=0-1,2-3,99-', [{ first: 0, last: 3 }]],
    ['bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16', 'whole'],
    ['bytes=99-,100-', 'unsatisfiable'],
  ])('%s, of 10 or more bytes, in parts', (text, expected) => {
    expect(parseRanges(text, text.includes('16') ? 20 : 10)).toEqual(expected)
  })
  test('an empty file has no range', () => {
    expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable')
    expect(parseRange('bytes=-1', 0)).toBe('unsatisfiable')
  })
})

describe('codings (RFC 9110 §12.5.3)', () => {
  test.each([
    [undefined, []],
    ['', []],
    ['gzip, deflate, br, zstd', ['br', 'zstd', 'gzip']],
    ['gzip', ['gzip']],
    ['x-gzip', ['gzip']],
    ['*', ['br', 'zstd', 'gzip']],
    ['br;q=0.5, gzip;q=0.8', ['gzip', 'br']],
    ['br;q=0, *', ['zstd', 'gzip']],
    ['gzip;q=0', []],
    ['identity', []],
    ['identity;q=1, gzip;q=0.5', []],
    ['GZIP ; Q=1.0', ['gzip']],
    ['br;q=0.000, gzip;q=0.001', ['gzip']],
  ])('%s', (header, expected) => {
    expect(acceptedEncodings(header)).toEqual(expected)
  })
  test.each([
    ['text/html; charset=utf-8', true],
    ['application/json', true],
    ['application/problem+json', true],
    ['image/svg+xml', true],
    ['font/ttf', true],
    ['text/event-stream', false],
    ['image/png', false],
    ['font/woff2', false],
    ['application/zip', false],
    [undefined, false],
  ])('%s is worth it: %s', (type, worth) => {
    expect(isCompressible(type)).toBe(worth)
  })
})
