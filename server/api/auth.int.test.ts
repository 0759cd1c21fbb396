import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '@/test/support/api'
import { authOptions } from './auth'
import { knownDevice, rememberDevice } from './device'

let api: TestApi
beforeAll(async () => {
  api = await createTestApi({ email: 'me@example.org', password: 'password1', apiKey: null })
})
afterAll(() => api.close())

type Authorize = (credentials: { email: string; password: string } | undefined, request: object) => Promise<{ id: string } | null>

const signIn = (address: string, password: string, email = 'me@example.org') => {
  const [provider] = authOptions(new Headers({ 'x-switchyard-client-address': address })).providers as unknown as {
    options: { authorize: Authorize }
  }[]
  return provider?.options.authorize({ email, password }, {})
}

it('signs in with the right password, answers null for a wrong one, and records each sign-in as a session', async () => {
  expect(await signIn('10.1.1.1', 'password1')).toMatchObject({ email: 'me@example.org' })
  expect(await signIn('10.1.1.1', 'wrong')).toBeNull()
  for (const email of ['me@example.org\0', '\0', 'me\ud800@example.org']) expect(await signIn('10.1.1.2', 'password1', email)).toBeNull()
  expect(await signIn('10.1.1.2', 'password1\0')).toBeNull()
  const { callbacks } = authOptions(new Headers({ 'x-switchyard-client-address': '10.1.1.1', 'user-agent': 'a browser' }))
  const { id } = await api.database.prisma.user.findFirstOrThrow()
  const token = (await callbacks?.jwt?.({ token: {}, user: { id }, account: null })) as { sid: string }
  expect(await api.database.prisma.session.findUnique({ where: { id: token.sid } })).toMatchObject({
    userId: id,
    address: '10.1.1.1',
    userAgent: 'a browser',
    endedAt: null,
  })
})

it('a device that has signed in to an account is known for that account alone', async () => {
  const cookie = (await rememberDevice(new Headers(), 'me@example.org')).split(';')[0] ?? ''
  const headers = new Headers({ cookie })
  expect(await knownDevice(headers, 'me@example.org')).toEqual(expect.any(String))
  expect(await knownDevice(headers, 'other@example.org')).toBeNull()
  expect(await knownDevice(new Headers({ cookie: `${cookie}; ${cookie}` }), 'me@example.org')).toBeNull()
})

it('keeps a session for 24 hours', () => {
  expect(authOptions(new Headers())).toMatchObject({ session: { strategy: 'jwt', maxAge: 86_400 }, jwt: { maxAge: 86_400 } })
})
