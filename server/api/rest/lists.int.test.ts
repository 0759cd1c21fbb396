import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { createTestApi, type TestApi } from '@/test/support/api'
import { handleRest } from './handler'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await createTestApi()
  key = await api.addKey(await api.addTeam('lists'), 'owner')
})
afterAll(() => api.close())

async function call(method: string, path: string, headers: Record<string, string> = {}, body?: unknown) {
  const init = { method, headers: { authorization: `Bearer ${key}`, ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  const response = await handleRest(new Request(`http://localhost:3000/api/v1${path}`, init))
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : null }
}

it('every list refuses a field it does not know, one given twice, and a limit or cursor that cannot be', async () => {
  const { body: project } = await call('POST', '/projects', {}, { name: newId() })
  const paths = [
    ...['/projects', '/deployments', '/certificates', '/dns-providers', '/me'],
    ...['', '/variables', '/domains', '/instances', '/traffic', '/requests', '/target-events', '/rules'].map(
      (path) => `/projects/${project.id}${path}`,
    ),
  ]
  for (const path of paths) {
    expect([path, (await call('GET', path)).status]).toEqual([path, 200])
    expect([path, await call('GET', `${path}?limt=5`)]).toMatchObject([path, { status: 400, body: { error: { code: 'ERR_INVALID_INPUT' } } }])
  }
  for (const path of ['/projects', '/deployments', '/certificates', `/projects/${project.id}/domains`, `/projects/${project.id}/requests`]) {
    expect([path, (await call('GET', `${path}?limit=1`)).status]).toEqual([path, 200])
    for (const query of ['limit=0', 'limit=many', 'limit=100000', 'cursor=bad', 'limit=1&limit=2'])
      expect([path, query, (await call('GET', `${path}?${query}`)).status]).toEqual([path, query, 400])
  }
  expect((await call('GET', '/deployments?projectId=nothing')).status).toBe(404)
})

it('projects come page by page, each once, newest first', async () => {
  key = await api.addKey(await api.addTeam('pages'), 'owner')
  const made: string[] = []
  for (let i = 0; i < 5; i++) made.unshift((await call('POST', '/projects', {}, { name: newId() })).body.id)
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body } = await call('GET', `/projects?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
    seen.push(...body.items.map(({ id }: { id: string }) => id))
    cursor = body.nextCursor
  }
  expect(seen).toEqual(made)
})

it('a method that is not possible answers 405 with a code of its own and the methods that are', async () => {
  const { status, headers, body } = await call('PUT', '/projects')
  expect([status, headers.get('allow'), body.error.code]).toEqual([405, 'POST, GET', 'ERR_METHOD_NOT_ALLOWED'])
})

it('what is asked again and has not changed is answered with 304', async () => {
  const first = await call('GET', '/projects')
  const etag = first.headers.get('etag') ?? ''
  expect(etag).toMatch(/^"[\w-]+"$/)
  expect(await call('GET', '/projects', { 'if-none-match': `"other", W/${etag}` })).toMatchObject({ status: 304, body: null })
  await call('POST', '/projects', {}, { name: newId() })
  expect((await call('GET', '/projects', { 'if-none-match': etag })).status).toBe(200)
})
