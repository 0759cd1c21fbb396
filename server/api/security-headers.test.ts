import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import { setSecurityHeaders } from './security-headers'

function answerTo(url: string, headers: Record<string, string> = {}) {
  const request = { url, headers } as unknown as IncomingMessage
  const set: Record<string, string> = {}
  setSecurityHeaders(
    request,
    { setHeader: (name: string, value: string) => Object.assign(set, { [name]: value }) } as unknown as ServerResponse,
    false,
  )
  return { set, seen: request.headers as Record<string, string> }
}

it('no page and no answer of the API can be framed, sniffed or leak its address', () => {
  for (const url of ['/', '/login?next=/x', '/api/v1/me', '/api/trpc/me.get', '/api/auth/session', '/_next/static/x.js', '/%00'])
    expect(answerTo(url).set).toMatchObject({
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'strict-origin-when-cross-origin',
      'permissions-policy': expect.stringContaining('camera=()'),
    })
})

it('scripts run by a nonce of this very answer, which no client chooses', () => {
  const policies = [0, 1].map(() => answerTo('/', { 'x-nonce': 'mine', 'content-security-policy': "script-src 'nonce-mine'" }))
  const [first, second] = policies.map(
    ({ set }) => /script-src 'nonce-([^']+)' 'strict-dynamic'(;|$)/.exec(set['content-security-policy'] ?? '')?.[1],
  )
  expect(first).toMatch(/^[A-Za-z0-9+/]{22}==$/)
  expect(first).not.toBe(second)
  expect(policies[0]?.seen).toMatchObject({ 'x-nonce': first, 'content-security-policy': policies[0]?.set['content-security-policy'] })
  expect(answerTo('/api/v1/me').set['content-security-policy']).toContain("default-src 'none'")
})

it('HTTPS is remembered where it was used, and only there', () => {
  expect(answerTo('/', { 'x-forwarded-proto': 'https' }).set['strict-transport-security']).toBe('max-age=31536000')
  expect(answerTo('/', { 'x-forwarded-proto': 'http' }).set).not.toHaveProperty('strict-transport-security')
})
