import { NextRequest } from 'next/server'
import { expect, test, vi } from 'vitest'
import { handleAuth } from './auth'

const platform = { settings: { authSecret: 'x'.repeat(32) }, accounts: {} }
vi.mock('../platform', () => ({ getPlatform: () => platform }))
const nextAuth = vi.fn(async (request: NextRequest) => Response.json({ url: request.nextUrl.pathname, body: await request.text() }))
vi.mock('next-auth', () => ({ default: (request: NextRequest) => nextAuth(request) }))

const context = { params: Promise.resolve({ nextauth: ['callback', 'credentials'] }) }
const url = 'http://localhost/api/auth/callback/credentials'

test('whoever signs in sends no more than an address and a password', async () => {
  const post = (body: string) => handleAuth(new NextRequest(url, { method: 'POST', headers: { cookie: 'a=b' }, body }), context)
  expect((await post('x'.repeat(100_000))).status).toBe(413)
  expect(nextAuth).not.toHaveBeenCalled()
  expect(await (await post('email=a')).json()).toEqual({ url: '/api/auth/callback/credentials', body: 'email=a' })
  expect(nextAuth.mock.calls[0]?.[0].headers.get('cookie')).toBe('a=b')
  expect((await handleAuth(new NextRequest(url), context)).status).toBe(200)
})
