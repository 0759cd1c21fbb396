import { afterEach, expect, test } from 'vitest'
import { type Platform, publishPlatform } from '../platform'
import { handleHealth } from './health'

const slot = globalThis as { __switchyard?: Platform | undefined }
afterEach(() => {
  delete slot.__switchyard
})
const answer = async (checks: Record<string, boolean>, ready = true) => {
  const told = Object.fromEntries(Object.entries(checks).map(([name, ok]) => [name, { ok, detail: 'a path of this machine' }]))
  publishPlatform({ health: async () => ({ ready, installation: 'a1', checks: told }) } as unknown as Platform)
  const response = await handleHealth()
  return { code: response.status, body: await response.json() }
}

test('the answer says of which installation it is; a check that does not hold shows in the status, without its reason; the platform can be used all the same', async () => {
  expect(await answer({ database: true, certificate: true })).toEqual({
    code: 200,
    body: { ok: true, status: 'ok', installation: 'a1', checks: { database: true, certificate: true } },
  })
  expect(await answer({ database: true, certificate: false })).toEqual({
    code: 200,
    body: { ok: true, status: 'degraded', installation: 'a1', checks: { database: true, certificate: false } },
  })
  expect(await answer({ database: false }, false)).toMatchObject({ code: 503, body: { ok: false, status: 'unavailable' } })
})
