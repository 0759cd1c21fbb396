import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LocalAnswer } from '../gate/gate'
import { factsOf, liveRoute } from '../gate/testing'
import { SharedCache } from './answer-cache'
import { Entry, type Headers } from './entry'
import type { OriginAnswer } from './origin'
import { UncacheableKeys } from './uncacheable-keys'

const route = liveRoute()
let now: number
let cache: SharedCache
let refreshed: OriginAnswer | null
beforeEach(() => {
  now = 1_000_000
  refreshed = null
  cache = new SharedCache({ ask: async () => refreshed, directory: null, now: () => now })
})
afterEach(() => cache.close())

interface Got {
  cache: string
  headers: Headers
  body: string
}

/** One visitor's GET, as an engine does it; `app` sees the conditions the cache added. */
async function visit(
  headers: Record<string, string>,
  app: (conditions: Headers | null) => { status: number; headers: Headers; body: string },
): Promise<Got> {
  const facts = factsOf('/', { host: 'a.test', scheme: 'https', headers })
  const local = (answer: LocalAnswer): Got => ({ cache: answer.cache, headers: answer.headers, body: String(answer.body) })
  const stored = await cache.lookup(route, null, facts)
  if (stored) return local(stored)
  const reply = app(cache.conditions(route, null, facts))
  const filter = cache.filter(route, facts)
  const verdict = filter?.onHead(reply.status, reply.headers) ?? null
  if (verdict === null) return { cache: filter?.cache ?? 'none', headers: reply.headers, body: reply.body }
  if ('replace' in verdict) return local(verdict.replace)
  verdict.through?.end(reply.body)
  if (verdict.through) await buffer(verdict.through as unknown as AsyncIterable<Buffer>)
  return { cache: filter?.cache ?? 'none', headers: verdict.headers, body: reply.body }
}

const shared: Headers = [
  ['Cache-Control', 's-maxage=60'],
  ['ETag', '"1"'],
]
const page = () => ({ status: 200, headers: shared, body: 'page' })
const cookiesOf = ({ headers }: Got) => headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value)

test('a cookie that came with a 304 is for the one who asked, not for those the stored answer is sent to', async () => {
  await visit({}, page)
  now += 61_000
  const asked = await visit({}, () => ({ status: 304, headers: [...shared, ['Set-Cookie', 'session=mine']], body: '' }))
  expect(asked).toMatchObject({ cache: 'revalidated', body: 'page' })
  expect(cookiesOf(asked)).toEqual(['session=mine'])
  const other = await visit({}, page)
  expect(other).toMatchObject({ cache: 'hit', body: 'page' })
  expect(cookiesOf(other)).toEqual([])
})

test.each(['private', 'no-store', 'no-cache'])('what a 304 calls %s is not sent to others unasked', async (directive) => {
  await visit({}, page)
  now += 61_000
  await visit({}, () => ({ status: 304, headers: [['Cache-Control', directive]], body: '' }))
  const conditions: (Headers | null)[] = []
  await visit({}, (given) => {
    conditions.push(given)
    return page()
  })
  expect(conditions).toEqual([[['If-None-Match', '"1"']]])
})

test.each([
  ['a body', { 'content-length': '3' }],
  ['a body of unknown length', { 'transfer-encoding': 'chunked' }],
  ['a wish to switch protocols', { upgrade: 'websocket' }],
  ['another method in a header', { 'x-http-method-override': 'HEAD' }],
])('an answer to a GET with %s is not given to others', async (_name, headers) => {
  const one = await visit(headers, () => ({ status: 200, headers: shared, body: 'odd' }))
  expect(one.cache).toBe('none')
  expect(await visit({}, page)).toMatchObject({ cache: 'miss', body: 'page' })
})

test.each([304, 400, 412])('a visitor whose own fields led to %s does not keep the answer from being stored for others', async (status) => {
  await visit({ 'if-none-match': '"1"' }, () => ({ status, headers: [], body: '' }))
  expect(await visit({}, page)).toMatchObject({ cache: 'miss' })
})

test('a refreshed answer that now depends on the cookie is not given to visitors with another one', async () => {
  const stale: Headers = [['Cache-Control', 's-maxage=60, stale-while-revalidate=600']]
  await visit({}, () => ({ status: 200, headers: stale, body: 'for all' }))
  now += 61_000
  refreshed = { status: 200, headers: [...stale, ['Vary', 'Cookie']], body: Buffer.from('for those without') }
  expect((await visit({}, page)).cache).toBe('stale')
  await new Promise((resolve) => setImmediate(resolve))
  expect(await visit({ cookie: 'user=1' }, page)).toMatchObject({ cache: 'miss', body: 'page' })
})

test('long addresses count for what they hold in memory', () => {
  const uri = `p d1 https://a.test/?${'x'.repeat(30_000)}`
  const lifetime = { freshMs: 1, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }
  const entry = new Entry({ uri, projectId: 'p', paths: ['/'], vary: [] }, 200, shared, Buffer.from('x'), lifetime, now)
  expect(entry.heldBytes).toBeGreaterThan(uri.length)
})

test('addresses nobody waits for are forgotten before their length fills the memory', () => {
  const keys = new UncacheableKeys()
  const way = { scheme: 'https', authority: 'a.test' } as const
  const long = 'x'.repeat(30_000)
  keys.note(route, way, `first ${long}`, false, now)
  for (let i = 0; i < 300; i++) keys.note(route, way, `${i} ${long}`, false, now)
  expect(keys.has(route, way, `first ${long}`, false, now)).toBe(false)
  expect(keys.has(route, way, `299 ${long}`, false, now)).toBe(true)
})

test('an address is passed for who came the same way, and not for the signed in or on another spelling of the host', () => {
  const keys = new UncacheableKeys()
  const way = { scheme: 'https', authority: 'a.test' } as const
  keys.note(route, way, '/x', false, now)
  expect(keys.has(route, way, '/x', false, now)).toBe(true)
  expect(keys.has(route, way, '/x', true, now)).toBe(false)
  expect(keys.has(route, { ...way, authority: 'a.test:8443' }, '/x', false, now)).toBe(false)
  expect(keys.has(route, { ...way, scheme: 'http' }, '/x', false, now)).toBe(false)
  expect(keys.has(route, way, '/x', false, now + 60_000)).toBe(false)
})

test('spellings of a host beyond a bound do not fill the memory', () => {
  const keys = new UncacheableKeys()
  for (let port = 0; port < 100; port++) keys.note(route, { scheme: 'https', authority: `a.test:${port}` }, '/x', false, now)
  expect(keys.has(route, { scheme: 'https', authority: 'a.test:0' }, '/x', false, now)).toBe(false)
  expect(keys.has(route, { scheme: 'https', authority: 'a.test:99' }, '/x', false, now)).toBe(true)
})
