import { expect, test } from 'vitest'
import { forwardedChain, forwardedScheme, plainAddress, trustedProxies } from './trusted-proxies'

const trusts = trustedProxies(['127.0.0.1', '10.0.0.0/8', '2001:db8:1::/48']) ?? (() => false)

test('no setting trusts nobody', () => {
  expect(trustedProxies([])).toBeNull()
})

test.each([
  ['203.0.113.7', ['203.0.113.7', '10.0.0.1']],
  ['6.6.6.6, 203.0.113.7, 10.1.2.3', ['203.0.113.7', '10.1.2.3', '10.0.0.1']],
  ['10.9.9.9, 2001:db8:1::1', ['10.9.9.9', '2001:db8:1::1', '10.0.0.1']],
  ['203.0.113.7:51234', ['203.0.113.7', '10.0.0.1']],
  ['[2001:DB8:0:0::7]:443', ['2001:db8::7', '10.0.0.1']],
  ['::ffff:203.0.113.7', ['203.0.113.7', '10.0.0.1']],
  ['::ffff:cb00:7107', ['203.0.113.7', '10.0.0.1']],
  ['203.0.113.7, unknown, 10.1.2.3', ['10.1.2.3', '10.0.0.1']],
  ['fe80::1%eth0', ['10.0.0.1']],
  ['1.2.3.4.5', ['10.0.0.1']],
  ['203.0.113.7,', ['10.0.0.1']],
  ['', ['10.0.0.1']],
  [undefined, ['10.0.0.1']],
])('the chain of %j begins with the visitor', (header, chain) => {
  expect(forwardedChain('10.0.0.1', header, trusts)).toEqual(chain)
})

test('the scheme is the first that was said, and nothing but HTTP or WebSocket', () => {
  expect(['https', 'HTTPS, http', ' wss', 'http', 'ws', 'ftp', '', undefined].map(forwardedScheme)).toEqual([
    'https',
    'https',
    'https',
    'http',
    'http',
    null,
    null,
    null,
  ])
})

test('an address of a dual-stack listener is the IPv4 one', () => {
  expect(['::ffff:192.0.2.1', 'fe80::1%eth0', '2001:db8::1', 'unknown'].map(plainAddress)).toEqual(['192.0.2.1', 'fe80::1', '2001:db8::1', 'unknown'])
})
