import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { LocalAnswer } from '../gate/gate'
import { factsOf, liveRoute } from '../gate/testing'
import { HostTable, type LiveRoute } from '../match/host-table'
import { SharedCache, type SharedCacheOptions } from './answer-cache'
import type { OriginAnswer, OriginAsk } from './origin'

type Reply = { status?: number; headers?: Record<string, string>; body?: string; cut?: boolean }
type Seen = { method: string; target: string; headers: Record<string, string> }

let now: number
let cache: SharedCache
let seen: Seen[]
/** What the app answers; may wait. */
let app: (request: Seen) => Reply | Promise<Reply>
const flush = () => new Promise((resolve) => setImmediate(resolve))

const route = liveRoute

function create(options: Partial<SharedCacheOptions> = {}): SharedCache {
  const ask = async ({ target, headers }: OriginAsk): Promise<OriginAnswer> => {
    const { status = 200, headers: given = {}, body = '' } = await call({ method: 'GET', target, headers: lower(headers) })
    return { status, headers: Object.entries(given), body: Buffer.from(body) }
  }
  return new SharedCache({ ask, directory: null, now: () => now, ...options })
}
const lower = (headers: [string, string][]) => Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]))

async function call(request: Seen): Promise<Reply> {
  seen.push(request)
  return app(request)
}

beforeEach(() => {
  now = 1_000_000
  seen = []
  cache = create()
})
afterEach(() => cache.close())

interface Got {
  status: number
  body: string
  bytes: Buffer
  headers: Record<string, string>
  cache: string
}

/** A request as an engine does it. */
async function get(
  target: string,
  headers: Record<string, string> = {},
  more: { method?: string; route?: LiveRoute; host?: string; scheme?: 'http' | 'https' } = {},
): Promise<Got> {
  const to = more.route ?? route()
  const facts = factsOf(target, { host: 'a.test', ...more, headers })
  const looked = cache.lookup(to, target, facts)
  const stored = looked instanceof Promise ? await looked : looked
  if (stored) return local(stored)
  const conditions = cache.conditions(to, target, facts)
  const filter = cache.filter(to, facts, target)
  const reply = await call({ method: facts.method, target, headers: { ...headers, ...lower(conditions ?? []) } })
  const { status = 200, headers: given = {}, body = '' } = reply
  const verdict = filter?.onHead(status, Object.entries(given)) ?? null
  const seenBy = () => filter?.cache ?? 'none'
  if (!verdict) return { status, body, bytes: Buffer.from(body), headers: given, cache: seenBy() }
  if ('replace' in verdict) return local(verdict.replace)
  const through = verdict.through ?? new PassThrough()
  if (reply.cut) {
    through.write(body.slice(0, 1))
    filter?.abort()
    throw new Error('cut')
  }
  through.end(body)
  const bytes = await buffer(through as PassThrough)
  return { status: verdict.status, body: bytes.toString(), bytes, headers: lower(verdict.headers), cache: seenBy() }
}

function local(answer: LocalAnswer): Got {
  const bytes = answer.body === null ? Buffer.alloc(0) : (answer.body as Buffer)
  expect(answer.head?.toString('latin1')).toBe(
    `HTTP/1.1 ${answer.status} ${answer.reason}\r\n${answer.headers.map(([n, v]) => `${n}: ${v}\r\n`).join('')}`,
  )
  return { status: answer.status, body: bytes.toString(), bytes, headers: lower(answer.headers), cache: answer.cache }
}

const minute = { 'Cache-Control': 's-maxage=60' }

describe('storing and serving', () => {
  test('an answer that may be shared is asked for once, with its age told', async () => {
    app = () => ({ headers: { ...minute, ETag: '"1"', 'Content-Type': 'text/plain' }, body: 'one' })
    expect(await get('/')).toMatchObject({ cache: 'miss', body: 'one' })
    now += 5_000
    const hit = await get('/')
    expect(hit).toMatchObject({
      cache: 'hit',
      body: 'one',
      headers: { age: '5', etag: '"1"', 'content-length': '3', 'cache-status': 'switchyard; hit; ttl=55' },
    })
    expect(await get('/', {}, { method: 'HEAD' })).toMatchObject({ cache: 'hit' })
    expect(seen).toHaveLength(1)
    now += 55_000
    await get('/')
    expect(seen).toHaveLength(2)
  })
  test('the age it came with counts', async () => {
    app = () => ({ headers: { ...minute, Age: '50' } })
    await get('/')
    now += 11_000
    await get('/')
    expect(seen).toHaveLength(2)
  })
  test.each([
    ['no word of sharing', { 'Cache-Control': 'max-age=60' }],
    ['a cookie', { ...minute, 'Set-Cookie': 'a=b' }],
    ['private', { 'Cache-Control': 'private, s-maxage=60' }],
  ])('%s: every visitor asks', async (_name, headers) => {
    app = () => ({ headers })
    await get('/')
    await get('/')
    expect(seen).toHaveLength(2)
  })
  test('a port that only one visitor wrote stays with that visitor', async () => {
    app = ({ headers }) => ({ headers: minute, body: `http://${headers.host ?? 'a.test'}/` })
    await get('/', { host: 'a.test:1337' })
    expect((await get('/', { host: 'a.test' })).body).toBe('http://a.test/')
    expect((await get('/')).cache).toBe('hit')
  })
  test('host, scheme, deployment, project and query keep answers apart', async () => {
    app = () => ({ headers: minute })
    await get('/x')
    await get('/x?a')
    await get('/x', {}, { host: 'b.test' })
    await get('/x', {}, { scheme: 'https' })
    await get('/x', {}, { route: route({ deploymentId: 'd2' }) })
    await get('/x', {}, { route: route({ projectId: 'q' }) })
    expect(seen).toHaveLength(6)
  })
  test('Vary: each variant has its own; spellings of one Accept-Encoding share', async () => {
    app = ({ headers }) => ({ headers: { ...minute, Vary: 'Accept-Language, Accept-Encoding' }, body: headers['accept-language'] ?? 'none' })
    expect((await get('/', { 'accept-language': 'de', 'accept-encoding': 'gzip, br' })).body).toBe('de')
    expect((await get('/', { 'accept-language': 'en', 'accept-encoding': 'gzip, br' })).body).toBe('en')
    expect((await get('/', { 'accept-language': 'de', 'accept-encoding': 'br,gzip' })).body).toBe('de')
    expect((await get('/', { 'accept-language': 'en', 'accept-encoding': 'gzip;q=1.0, br' })).body).toBe('en')
    expect(seen).toHaveLength(2)
  })
  test('an answer that broke off, or is shorter than it said, is not kept', async () => {
    app = () => ({ headers: minute, body: 'half', cut: true })
    await expect(get('/')).rejects.toThrow('cut')
    app = () => ({ headers: { ...minute, 'Content-Length': '9' }, body: 'half' })
    await get('/')
    app = () => ({ headers: minute, body: 'whole' })
    expect((await get('/')).body).toBe('whole')
    expect(seen).toHaveLength(3)
  })
  test('conditions and ranges are answered from the whole', async () => {
    app = () => ({ headers: { ...minute, ETag: '"1"' }, body: '0123456789' })
    await get('/')
    expect(await get('/', { 'if-none-match': '"1"' })).toMatchObject({ status: 304, body: '', headers: { etag: '"1"' } })
    expect(await get('/', { range: 'bytes=2-4' })).toMatchObject({ status: 206, body: '234', headers: { 'content-range': 'bytes 2-4/10' } })
    expect(await get('/', { range: 'bytes=20-' })).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */10' } })
    expect(seen).toHaveLength(1)
  })
  test('a hit is coded for who takes it, with a weak ETag', async () => {
    const body = 'text and text '.repeat(300)
    app = () => ({ headers: { ...minute, ETag: '"1"', 'Content-Type': 'text/plain' }, body })
    await get('/')
    let hit = await get('/', { 'accept-encoding': 'br' })
    for (let i = 0; i < 200 && hit.headers['content-encoding'] !== 'br'; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      hit = await get('/', { 'accept-encoding': 'br' })
    }
    expect(brotliDecompressSync(hit.bytes).toString()).toBe(body)
    expect(hit.headers).toMatchObject({ etag: 'W/"1"', vary: 'Accept-Encoding', 'content-length': String(hit.bytes.length) })
    expect(await get('/', { 'accept-encoding': 'br', 'if-none-match': 'W/"1"' })).toMatchObject({ status: 304 })
    expect((await get('/')).body).toBe(body)
  })
})

describe('going stale', () => {
  test('stale-while-revalidate: the old one at once, one request beside it, then the new one', async () => {
    let n = 0
    app = () => ({ headers: { 'Cache-Control': 's-maxage=1, stale-while-revalidate=60', ETag: `"${n}"` }, body: `v${n++}` })
    await get('/')
    now += 5_000
    expect(await Promise.all([get('/'), get('/'), get('/')])).toMatchObject([{ cache: 'stale', body: 'v0' }, { body: 'v0' }, { body: 'v0' }])
    await flush()
    expect(seen).toHaveLength(2)
    expect(seen[1]?.headers).toMatchObject({ 'if-none-match': '"0"' })
    expect(await get('/')).toMatchObject({ cache: 'hit', body: 'v1' })
  })
  test('past the window nobody is given it, but a 304 makes it count again', async () => {
    app = ({ headers }) =>
      headers['if-none-match'] === '"1"'
        ? { status: 304, headers: { ...minute, 'X-New': '2' } }
        : { headers: { ...minute, ETag: '"1"' }, body: 'one' }
    await get('/')
    now += 61_000
    expect(await get('/')).toMatchObject({ status: 200, cache: 'revalidated', body: 'one', headers: { 'x-new': '2', age: '0' } })
    expect(await get('/')).toMatchObject({ cache: 'hit', body: 'one' })
    expect(seen).toHaveLength(2)
  })
  test('a visitor with conditions of their own gets the instance’s answer to them', async () => {
    app = ({ headers }) => ({ status: headers['if-none-match'] ? 304 : 200, headers: { ...minute, ETag: '"1"' }, body: '' })
    await get('/')
    now += 61_000
    expect(await get('/', { 'if-none-match': '"1"' })).toMatchObject({ status: 304 })
    expect(seen[1]?.headers['if-none-match']).toBe('"1"')
  })
  test('stale-if-error: an error of the instance is replaced, and an instance that cannot be asked too', async () => {
    app = () => ({ headers: { 'Cache-Control': 's-maxage=1, stale-if-error=600' }, body: 'good' })
    await get('/')
    now += 10_000
    app = () => ({ status: 503, body: 'bad' })
    expect(await get('/')).toMatchObject({ status: 200, cache: 'stale', body: 'good' })
    const facts = factsOf('/', { host: 'a.test' })
    expect(await cache.insteadOfError(route(), '/', facts)).toMatchObject({ status: 200 })
    now += 600_000
    expect(await get('/')).toMatchObject({ status: 503 })
    expect(await cache.insteadOfError(route(), '/', facts)).toBeNull()
  })
})

describe('concurrent misses', () => {
  test('become one request', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    app = async () => {
      await held
      return { headers: minute, body: 'one' }
    }
    const all = Array.from({ length: 20 }, () => get('/'))
    await flush()
    expect(seen).toHaveLength(1)
    release()
    for (const answer of await Promise.all(all)) expect(answer.body).toBe('one')
    expect(seen).toHaveLength(1)
  })
  test('nobody waits once an address turned out not to be shared, nor those who bring a cookie', async () => {
    app = () => ({ body: 'mine' })
    await get('/')
    let arrived = 0
    app = () => {
      arrived++
      return new Promise<Reply>(() => {})
    }
    for (let i = 0; i < 5; i++) void get('/')
    for (let i = 0; i < 5; i++) void get('/other', { cookie: 'session=1' })
    await flush()
    expect(arrived).toBe(10)
  })
})

describe('removing', () => {
  const fill = async () => {
    app = ({ target }) => ({ headers: { ...minute, 'Cache-Tag': target.startsWith('/blog') ? 'blog, all' : 'all' } })
    for (const target of ['/', '/blog/1', '/blog/2', '/blog/2?x']) await get(target)
    await get('/', {}, { route: route({ projectId: 'q' }) })
    seen = []
  }
  test.each([
    [{ tags: ['blog'] }, 3],
    [{ tags: ['none'] }, 0],
    [{ paths: ['/blog/2'] }, 2],
    [{ paths: ['/blog/*'] }, 3],
    [{ paths: ['/'], tags: ['blog'] }, 4],
    [{}, 4],
  ])('%j removes %i, of this project alone', async (wish, entries) => {
    await fill()
    expect(cache.purge({ projectId: 'p', ...wish })).toEqual({ entries })
    for (const target of ['/', '/blog/1', '/blog/2', '/blog/2?x']) await get(target)
    await get('/', {}, { route: route({ projectId: 'q' }) })
    expect(seen).toHaveLength(entries)
  })
  test('what was asked for before a purge is not stored after it', async () => {
    let release = () => {}
    app = () =>
      new Promise((resolve) => {
        release = () => resolve({ headers: minute, body: 'old' })
      })
    const old = get('/')
    await flush()
    cache.purge({ projectId: 'p' })
    release()
    expect((await old).body).toBe('old')
    app = () => ({ headers: minute, body: 'new' })
    expect((await get('/')).body).toBe('new')
  })
  test.each([
    ['POST', 200, 2],
    ['DELETE', 302, 2],
    ['PUT', 500, 1],
    ['OPTIONS', 200, 1],
  ])('%s with %i: the address is asked for %i times', async (method, status, asked) => {
    app = () => ({ headers: minute })
    await get('/x')
    app = () => ({ status })
    await get('/x', {}, { method })
    app = () => ({ headers: minute })
    await get('/x')
    expect(seen.filter((request) => request.method === 'GET')).toHaveLength(asked)
  })
  test('a table without the deployment lets go of its answers', async () => {
    app = () => ({ headers: minute })
    await get('/')
    const { policy: _policy, turn: _turn, ...plain } = route({ deploymentId: 'd2' })
    cache.apply(new HostTable({ version: 1, generatedAt: '', dashboardUrl: '', routes: [plain] }))
    await get('/')
    expect(seen).toHaveLength(2)
  })
})

describe('bounds', () => {
  test('what memory has no room for comes back from disk, whole, and purging removes its files', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'switchyard-cache-'))
    try {
      await mkdir(path.join(directory, '4194303/left-behind'), { recursive: true })
      cache = create({ directory, memoryBytes: 400_000, maxEntryBytes: 40_000 })
      app = ({ target }) => ({ headers: minute, body: target.repeat(5_000) })
      const targets = Array.from({ length: 30 }, (_, i) => `/${i}`)
      for (const target of targets) await get(target)
      await expect
        .poll(async () => (await readdir(path.join(directory, String(process.pid)))).filter((name) => !name.endsWith('.tmp')).length)
        .toBeGreaterThan(5)
      await flush()
      for (const target of targets) expect((await get(target)).body).toBe(target.repeat(5_000))
      expect(seen).toHaveLength(30)
      expect(cache.purge({ projectId: 'p' })).toEqual({ entries: 30 })
      expect(await readdir(directory)).toEqual([String(process.pid)])
      await expect.poll(() => readdir(path.join(directory, String(process.pid)))).toEqual([])
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
  test('answers on their way into the store share a bound; what finds no room passes, and room is given back', async () => {
    cache = create({ maxCollectingBytes: 10_000 })
    app = ({ target }) => ({ headers: minute, body: target.repeat(1_000), cut: target === '/cut-off' })
    for (let i = 0; i < 20; i++) await expect(get('/cut-off')).rejects.toThrow('cut')
    expect((await get('/more-than-there-is-room-for')).body).toHaveLength(28_000)
    for (let i = 0; i < 20; i++) expect((await get(`/${i}`)).cache).toBe('miss')
    await flush()
    for (let i = 0; i < 20; i++) expect((await get(`/${i}`)).cache).toBe('hit')
    expect((await get('/more-than-there-is-room-for')).cache).toBe('miss')
  })
  test('what is coded suits only who takes the coding, though the instance forgot to say so', async () => {
    app = ({ headers }) => ({
      headers: { ...minute, ...(headers['accept-encoding'] ? { 'Content-Encoding': 'gzip' } : {}) },
      body: headers['accept-encoding'] ?? 'plain',
    })
    await get('/', { 'accept-encoding': 'gzip' })
    expect((await get('/')).body).toBe('plain')
  })
  test('without a disk the least used goes; a payload that is too large passes', async () => {
    cache = create({ memoryBytes: 400_000, maxEntryBytes: 20_000 })
    app = ({ target }) => ({ headers: minute, body: target.repeat(target === '/big' ? 50_000 : 2_000) })
    for (let i = 0; i < 200; i++) await get(`/${i}`)
    await get('/big')
    expect((await get('/big')).body).toHaveLength(200_000)
    expect(cache.purge({ projectId: 'p' }).entries).toBeLessThan(100)
  })
})
