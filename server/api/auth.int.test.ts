import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '@/test/support/api'
import { authOptions } from './auth'

let api: TestApi
beforeAll(async () => {
  api = await createTestApi({ email: 'me@example.org', password: 'password1', apiKey: null })
})
afterAll(() => api.close())

type Authorize = (credentials: { email: string; password: string } | undefined, request: object) => Promise<{ id: string } | null>

const signIn = (address: string, password: string) => {
  const [provider] = authOptions(new Headers({ 'x-switchyard-client-address': address })).providers as unknown as {
    options: { authorize: Authorize }
  }[]
  return provider?.options.authorize({ email: 'me@example.org', password }, {})
}

it('signs in with the right password, answers null for a wrong one, and says ERR_RATE_LIMITED by its code', async () => {
  expect(await signIn('10.1.1.1', 'password1')).toMatchObject({ email: 'me@example.org' })
  for (let i = 0; i < 8; i++) expect(await signIn('10.1.1.1', `wrong ${i}`)).toBeNull()
  await expect(signIn('10.1.1.1', 'password1')).rejects.toThrow(/^ERR_RATE_LIMITED$/)
  expect(await signIn('10.1.1.2', 'password1')).not.toBeNull()
})

it('keeps a session for 24 hours', () => {
  expect(authOptions(new Headers())).toMatchObject({ session: { strategy: 'jwt', maxAge: 86_400 }, jwt: { maxAge: 86_400 } })
})
