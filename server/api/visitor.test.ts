import type { IncomingMessage } from 'node:http'
import { expect, it } from 'vitest'
import { clientAddress, createVisitorMarker, isSecure } from './visitor'

function seen(settings: { trustedProxies?: string[]; publicUrl?: string }, peer: string, headers: Record<string, string>) {
  const request = { headers: { host: 'switchyard.example.com', ...headers }, socket: { remoteAddress: peer } }
  createVisitorMarker({ trustedProxies: settings.trustedProxies ?? [], publicUrl: settings.publicUrl ?? null })(request as unknown as IncomingMessage)
  const marked = new Headers(request.headers as Record<string, string>)
  return {
    address: clientAddress(marked),
    secure: isSecure(marked),
    host: marked.get('x-forwarded-host'),
    headers: request.headers as Record<string, string>,
  }
}

it('a stranger chooses neither address nor scheme nor host', () => {
  const claims = {
    'x-forwarded-for': '198.51.100.9',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example',
    'x-switchyard-client-address': '198.51.100.9',
    'x-real-ip': '198.51.100.9',
    forwarded: 'for=198.51.100.9',
  }
  const { headers, ...visitor } = seen({ trustedProxies: ['10.0.0.0/8'] }, '::ffff:203.0.113.7', claims)
  expect(visitor).toEqual({ address: '203.0.113.7', secure: false, host: 'switchyard.example.com' })
  expect([headers['x-real-ip'], headers.forwarded]).toEqual([undefined, undefined])
})

it('behind trusted proxies the visitor is the last address that none of them has', () => {
  const settings = { trustedProxies: ['127.0.0.1', '10.0.0.0/8', '2001:db8::/32'] }
  const address = (list: string) => seen(settings, '127.0.0.1', { 'x-forwarded-for': list }).address
  expect(address('203.0.113.7')).toBe('203.0.113.7')
  expect(address('198.51.100.9, 203.0.113.7, 10.1.2.3')).toBe('203.0.113.7')
  expect(address('10.9.9.9, 2001:db8::1')).toBe('10.9.9.9')
  expect(address('garbage, 10.1.2.3')).toBe('10.1.2.3')
  expect(address('')).toBe('127.0.0.1')
  expect(seen(settings, '127.0.0.1', { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' })).toMatchObject({
    secure: true,
    host: 'a.example',
  })
})

it('a dashboard published by https has secure cookies, whether or not its proxy says so', () => {
  const publicUrl = 'https://switchyard.example.com'
  expect(seen({ publicUrl }, '127.0.0.1', {}).secure).toBe(true)
  expect(seen({ publicUrl }, '127.0.0.1', { host: 'localhost:3000' }).secure).toBe(false)
})

it('a cookie of sign-in that came twice, or in the spelling of another scheme, reaches nobody', () => {
  const cookie = 'theme=dark; next-auth.session-token=a; __Secure-next-auth.session-token=junk; next-auth.csrf-token=x; next-auth.csrf-token=y'
  expect(seen({}, '203.0.113.7', { cookie }).headers.cookie).toBe('theme=dark; next-auth.session-token=a')
  expect(seen({ publicUrl: 'https://switchyard.example.com' }, '203.0.113.7', { cookie }).headers.cookie).toBe('theme=dark')
})
