import { describe, expect, it } from 'vitest'
import { counterpartOf, displayName, parseDomainName, relativeName } from './hostname'
import { pauseMs } from './record'
import { expectedRecords } from './records'

describe('a domain name', () => {
  it.each([
    ['Example.COM.', 'example.com', 'apex'],
    ['https://www.example.com:8080/path?x=1', 'www.example.com', 'subdomain'],
    ['example.co.uk', 'example.co.uk', 'apex'],
    ['shop.example.co.uk', 'shop.example.co.uk', 'subdomain'],
    ['bücher.example', 'xn--bcher-kva.example', 'apex'],
    ['*.Bücher.example', '*.xn--bcher-kva.example', 'wildcard'],
    ['mine.github.io', 'mine.github.io', 'apex'],
    ['例え.テスト', 'xn--r8jz45g.xn--zckzah', 'apex'],
  ])('%s is kept as %s, %s', (typed, hostname, kind) => {
    expect(parseDomainName(typed)).toMatchObject({ hostname, kind })
  })

  it.each([
    '',
    'localhost',
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '::1',
    'co.uk',
    'github.io',
    '*.co.uk',
    'a.*.example.com',
    '*',
    '-x.example.com',
    'under_score.example.com',
    'a..example.com',
    `${'a'.repeat(64)}.example.com`,
    'exa mple.com',
    'example.com\0.evil.test',
    '<script>.example.com',
  ])('%j is refused with what to do', (typed) => {
    expect(() => parseDomainName(typed)).toThrowError(expect.objectContaining({ code: 'ERR_INVALID_INPUT' }))
  })

  it('is shown as people write it, relative to its zone, with its counterpart', () => {
    expect(displayName('*.xn--bcher-kva.example')).toBe('*.bücher.example')
    expect(counterpartOf(parseDomainName('example.com'))).toBe('www.example.com')
    expect(counterpartOf(parseDomainName('www.example.com'))).toBe('example.com')
    expect(counterpartOf(parseDomainName('shop.example.com'))).toBeNull()
    expect(relativeName('_switchyard.shop.example.com', 'example.com')).toBe('_switchyard.shop')
    expect(relativeName('example.com', 'example.com')).toBe('@')
  })
})

describe('the records to set', () => {
  const addresses = ['203.0.113.7', '2001:db8::7']
  const of = (hostname: string, projectHost = 'shop.apps.example.org') => expectedRecords({ name: parseDomainName(hostname), addresses, projectHost })

  it('are addresses for an apex, with an alias where the DNS host has one', () => {
    expect(of('example.com').records).toMatchObject([
      { type: 'A', host: '@', value: '203.0.113.7' },
      { type: 'AAAA', host: '@', value: '2001:db8::7' },
    ])
    expect(of('example.com').alternatives[0]?.records).toMatchObject([{ type: 'ALIAS', value: 'shop.apps.example.org' }])
  })

  it('are a CNAME for anything below, and addresses where the installation has no public host', () => {
    expect(of('www.example.com').records).toMatchObject([{ type: 'CNAME', host: 'www', value: 'shop.apps.example.org' }])
    expect(of('*.example.com').records).toMatchObject([{ type: 'CNAME', host: '*', value: 'shop.apps.example.org' }])
    expect(of('www.example.com', 'shop.localhost')).toMatchObject({ records: [{ type: 'A' }, { type: 'AAAA' }], alternatives: [] })
  })
})

it('pauses between checks grow with the time nothing changed, from seconds to hours', () => {
  const now = new Date()
  const after = (minutes: number, settled = false) => pauseMs({ settled, since: new Date(now.getTime() - minutes * 60_000), now, random: 0.5 }) / 1000
  expect([0, 8, 80, 10_000].map((minutes) => after(minutes))).toEqual([20, 60, 600, 21_600])
  expect(after(0, true)).toBe(12 * 3600)
})
