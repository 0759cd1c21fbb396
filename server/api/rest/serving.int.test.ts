import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { newId } from '@/shared/node/ids'
import { createTestApi, type TestApi } from '@/test/support/api'
import { createRequestLimits } from '../../request-limits/request-limits'
import { startRetention } from '../../retention'
import { handleTrpc } from '../trpc-handler'
import { catalogue } from './catalogue'
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

/** The least that each route takes. */
const examples: Record<string, unknown> = {
  '/projects': { name: 'x' },
  '/projects/{project}/variables/{key}': { value: 'x' },
  '/projects/{project}/domains': { hostname: 'example.net' },
  '/certificates': { domain: 'x', certificate: 'x', privateKey: 'x' },
  '/dns-providers': { name: 'x', credentials: { kind: 'cloudflare', apiToken: 'x' } },
  '/deployments': { projectId: 'x' },
  '/deploy': { projectId: 'x' },
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
  expect([status, headers.get('allow'), body.error.code]).toEqual([405, 'POST, GET, HEAD, OPTIONS', 'ERR_METHOD_NOT_ALLOWED'])
})

it('OPTIONS names the methods of a path, signed in or not', async () => {
  expect(await call('OPTIONS', '/projects', { authorization: '' })).toMatchObject({ status: 204, body: null })
  expect((await call('OPTIONS', '/metrics')).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
  expect((await call('OPTIONS', '/nothing')).status).toBe(404)
})

it('HEAD answers as GET does, without the body, and begins no stream', async () => {
  const [get, head] = [await call('GET', '/projects'), await call('HEAD', '/projects')]
  expect(head).toMatchObject({ status: 200, body: null })
  expect(head.headers.get('etag')).toBe(get.headers.get('etag'))
  expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(JSON.stringify(get.body))))
  expect(await call('HEAD', '/projects/nothing')).toMatchObject({ status: 404, body: null })
  expect((await call('HEAD', '/me', { authorization: 'Bearer sy_wrong' })).status).toBe(401)
  const stream = await call('HEAD', '/deployments/any/logs')
  expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
})

it('the position of every event stream is checked before anything is read or watched', async () => {
  const { body: project } = await call('POST', '/projects', {}, { name: newId() })
  const path = `/projects/${project.id}/requests/stream`
  for (const [query, headers] of [
    ['?after=abc', {}],
    ['?after=-1', {}],
    ['?after=99999999999999999999999999', {}],
    ['', { 'last-event-id': '1.5' }],
  ] as const)
    expect([query, await call('GET', path + query, headers)]).toMatchObject([query, { status: 400, body: { error: { code: 'ERR_INVALID_INPUT' } } }])
})

it('every route refuses a field of the body that it does not know, by its name', async () => {
  for (const { method, path, body, params, example } of catalogue.filter((route) => ['POST', 'PUT', 'PATCH'].includes(route.method))) {
    if (body === 'raw') continue
    const valid = { ...example, ...(examples[path] as object | undefined) }
    const place = Object.keys(params?.shape ?? {}).reduce((text, name) => text.replace(`{${name}}`, 'X'), path)
    const { status, body: answer } = await call(method, place, {}, { ...valid, colour: 'red' })
    expect([method, path, status, answer.error.message]).toEqual([method, path, 400, expect.stringContaining('colour')])
  }
  const nested = await call('PATCH', '/projects/X/rules', {}, { protection: { kind: 'token', colour: 'red' } })
  expect(nested).toMatchObject({ status: 400, body: { error: { message: 'protection.colour: this field is not known.' } } })
})

it('text that the database cannot keep is refused wherever it stands, never a failure of ours', async () => {
  for (const path of ['/projects/%00', '/certificates?search=%00', '/projects?cursor=%00', '/deployments?projectId=a%00', '/domains/%00'])
    expect([path, (await call('GET', path)).status]).toEqual([path, 400])
  for (const name of ['a\0b', '\ud800'])
    expect((await call('POST', '/projects', {}, { name })).body).toMatchObject({ error: { message: expect.stringContaining('body.name') } })
  expect((await call('PATCH', '/projects/X/rules', {}, { headers: [{ source: '/', headers: [{ key: 'a', value: '\0' }] }] })).status).toBe(400)
})

it('what is asked again and has not changed is answered with 304', async () => {
  const first = await call('GET', '/projects')
  const etag = first.headers.get('etag') ?? ''
  expect(etag).toMatch(/^W\/"[\w-]+"$/)
  expect(await call('GET', '/projects', { 'if-none-match': `"other", ${etag}` })).toMatchObject({ status: 304, body: null })
  await call('POST', '/projects', {}, { name: newId() })
  expect((await call('GET', '/projects', { 'if-none-match': etag })).status).toBe(200)
})

it('every answer says what is left of the allowance; beyond it 429 says when to come back, by REST and tRPC alike', async () => {
  const unlimited = api.platform.requestLimits
  api.platform.requestLimits = createRequestLimits({ perCaller: 3, refusedPerAddress: 2, perWebhook: 0, perDeployHook: 0 }, () => 0)
  try {
    const first = await call('GET', '/projects')
    expect([first.headers.get('ratelimit-policy'), first.headers.get('ratelimit')]).toEqual(['"caller";q=3;w=60', '"caller";r=2;t=20'])
    expect((await call('GET', '/projects/nothing')).headers.get('ratelimit')).toBe('"caller";r=1;t=40')
    const input = encodeURIComponent('{"json":null,"meta":{"values":["undefined"]}}')
    const me = () => handleTrpc(new Request(`http://x/api/trpc/me.get?input=${input}`, { headers: { authorization: `Bearer ${key}` } }))
    expect((await me()).headers.get('ratelimit')).toBe('"caller";r=0;t=60')
    const refused = await call('GET', '/projects')
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'ERR_RATE_LIMITED', retryAfterSeconds: 20 } } })
    expect(refused.headers.get('retry-after')).toBe('20')
    expect([(await me()).status, (await me()).headers.get('ratelimit')]).toEqual([429, '"caller";r=0;t=60'])
    // Refused requests count by address: two get 401, then 429. Requests with a valid key from that address still pass.
    const stranger = () => call('GET', '/me', { authorization: 'Bearer sy_wrong' })
    expect([(await stranger()).status, (await call('GET', '/me', { authorization: '' })).status, (await stranger()).status]).toEqual([401, 401, 429])
    key = await api.addKey(await api.addTeam('behind the same address'), 'owner')
    expect((await call('GET', '/me')).status).toBe(200)
  } finally {
    api.platform.requestLimits = unlimited
  }
})

const keyed = (key: string) => ({ 'idempotency-key': key })
const projectsNamed = (name: string) => api.database.prisma.project.count({ where: { name } })
const upload = async (bytes: string, key: string) => {
  const init = { method: 'POST', headers: { authorization: `Bearer ${owner}`, ...keyed(key) }, body: bytes }
  const response = await handleRest(new Request('http://localhost:3000/api/v1/sources', init))
  return { status: response.status, replayed: response.headers.get('idempotent-replayed'), body: await response.json() }
}
let owner: string

describe('Idempotency-Key', () => {
  beforeAll(async () => {
    owner = await api.addKey(await api.addTeam('keyed'), 'owner')
    key = owner
  })

  it('a request that is sent again has one effect and the same answer, which says so', async () => {
    const [name, id] = [newId(), newId()]
    const first = await call('POST', '/projects', keyed(id), { name })
    const again = await call('POST', '/projects', keyed(`"${id}"`), { name })
    expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null])
    expect([again.status, again.headers.get('idempotent-replayed'), again.body]).toEqual([201, 'true', first.body])
    expect(again.headers.get('content-type')).toBe('application/json')
    expect(await projectsNamed(name)).toBe(1)
    // A refusal for good is an answer too.
    const taken = keyed(newId())
    const refused = await call('POST', '/projects', taken, { name })
    expect(await call('POST', '/projects', taken, { name })).toMatchObject({ status: 409, body: refused.body })
  })

  it('of many at once one runs; the others get its answer or are told to come back', async () => {
    const [name, id] = [newId(), newId()]
    const answers = await Promise.all(Array.from({ length: 8 }, () => call('POST', '/projects', keyed(id), { name })))
    expect(answers.filter(({ status, headers }) => status === 201 && !headers.has('idempotent-replayed'))).toHaveLength(1)
    for (const { status, headers, body } of answers.filter((answer) => answer.status !== 201)) {
      expect([status, body.error.code]).toEqual([409, 'ERR_IDEMPOTENCY_KEY_RUNNING'])
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect(await projectsNamed(name)).toBe(1)
  })

  it('a key belongs to one request of one caller: another body or path is refused, another caller has keys of their own', async () => {
    const [name, id] = [newId(), newId()]
    await call('POST', '/projects', keyed(id), { name })
    const reused = { status: 422, body: { error: { code: 'ERR_IDEMPOTENCY_KEY_REUSED' } } }
    expect(await call('POST', '/projects', keyed(id), { name: newId() })).toMatchObject(reused)
    expect(await call('POST', '/projects/x/purge', keyed(id), { name })).toMatchObject(reused)
    const other = await api.addKey((await api.platform.accounts.actorOfApiKey(owner))?.teamId ?? '', 'owner')
    const theirs = await call('POST', '/projects', { ...keyed(id), authorization: `Bearer ${other}` }, { name: newId() })
    expect([theirs.status, theirs.headers.get('idempotent-replayed')]).toEqual([201, null])
  })

  it('failures of ours and input that was not taken are not kept: the key is free again', async () => {
    const [name, id] = [newId(), newId()]
    const { create } = api.platform.projects
    api.platform.projects.create = () => Promise.reject(new Error('of this test'))
    expect((await call('POST', '/projects', keyed(id), { name })).status).toBe(500)
    api.platform.projects.create = create
    expect((await call('POST', '/projects', keyed(id), { name, colour: 'red' })).status).toBe(400)
    const made = await call('POST', '/projects', keyed(id), { name })
    expect([made.status, made.headers.get('idempotent-replayed')]).toEqual([201, null])
  })

  it('secrets of an answer are told again, and lie sealed in the database', async () => {
    const { body: project } = await call('POST', '/projects', {}, { name: newId() })
    const id = newId()
    const change = () => call('PATCH', `/projects/${project.id}/rules`, keyed(id), { protection: { kind: 'token', create: 1 } })
    const [first, again] = [await change(), await change()]
    const [token] = first.body.newTokens as string[]
    expect([token, again.body.newTokens]).toEqual([expect.stringMatching(/^\S{16,}$/), [token]])
    const row = await api.database.prisma.keyedAnswer.findFirstOrThrow({ where: { key: id } })
    expect(Buffer.from(row.answer ?? '').includes(token ?? '')).toBe(false)
    expect(await api.secrets.open(row.teamId, row.answer ?? new Uint8Array())).toContain(token)
  })

  it('an upload is known by its bytes: the same are not stored twice, others and longer ones are refused', async () => {
    const id = newId()
    const first = await upload('bytes of an archive', id)
    expect(await upload('bytes of an archive', id)).toEqual({ ...first, replayed: 'true' })
    for (const bytes of ['bytes of an archivE', 'bytes of an archive, and more', 'bytes'])
      expect(await upload(bytes, id)).toMatchObject({ status: 422, body: { error: { code: 'ERR_IDEMPOTENCY_KEY_REUSED' } } })
  })

  it('a key whose process has died is free when the lease ends; an answer is kept until it expires, and then removed', async () => {
    const { keyedAnswer } = api.database.prisma
    const [name, id, past] = [newId(), newId(), new Date(Date.now() - 1_000)]
    const { body: first } = await call('POST', '/projects', keyed(id), { name })
    const create = (nameNow: string) => call('POST', '/projects', keyed(id), { name: nameNow })
    await keyedAnswer.updateMany({ where: { key: id }, data: { answer: null, leaseExpiresAt: new Date(Date.now() + 60_000) } })
    expect((await create(name)).status).toBe(409)
    expect((await create(newId())).status).toBe(422)
    await keyedAnswer.updateMany({ where: { key: id }, data: { leaseExpiresAt: past } })
    // It runs: the project that the dead process made is in the way.
    expect((await create(name)).body.error.code).toBe('ERR_CONFLICT')
    await keyedAnswer.updateMany({ where: { key: id }, data: { expiresAt: past } })
    expect((await create(newId())).body.id).not.toBe(first.id)
    await keyedAnswer.updateMany({ where: { key: id }, data: { expiresAt: past } })
    const retention = startRetention({ pool: api.database.pool, logger: pino({ level: 'silent' }) })
    await vi.waitFor(async () => expect(await keyedAnswer.count({ where: { key: id } })).toBe(0), { timeout: 20_000 })
    retention.stop()
  })

  it('a key that is no text is refused before anything is done', async () => {
    for (const bad of ['', '""', 'a b', '"a', '"a", "b"', 'ü', 'x'.repeat(256)])
      expect([bad, (await call('POST', '/projects', keyed(bad), { name: newId() })).status]).toEqual([bad, 400])
  })
})
