import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { until } from '../engine/contract/testing'
import { factsOf, liveRoute as route } from '../gate/testing'
import { cacheWorld, flush, minute, type Reply } from './testing'

const world = cacheWorld()
const { create, get } = world

describe('storing and serving', () => {
  test('an answer that may be shared is asked for once, with its age told', async () => {
    world.app = () => ({ headers: { ...minute, ETag: '"1"', 'Content-Type': 'text/plain' }, body: 'one' })
    expect(await get('/')).toMatchObject({ cache: 'miss', body: 'one' })
    world.now += 5_000
    const hit = await get('/')
    expect(hit).toMatchObject({
      cache: 'hit',
      body: 'one',
      headers: { age: '5', etag: '"1"', 'content-length': '3', 'cache-status': 'switchyard; hit; ttl=55' },
    })
    expect(await get('/', {}, { method: 'HEAD' })).toMatchObject({ cache: 'hit' })
    expect(world.seen).toHaveLength(1)
    world.now += 55_000
    await get('/')
    expect(world.seen).toHaveLength(2)
  })
  test('the age it came with counts', async () => {
    world.app = () => ({ headers: { ...minute, Age: '50' } })
    await get('/')
    world.now += 11_000
    await get('/')
    expect(world.seen).toHaveLength(2)
  })
  test.each([
    ['no word of sharing', { 'Cache-Control': 'max-age=60' }],
    ['a cookie', { ...minute, 'Set-Cookie': 'a=b' }],
    ['private', { 'Cache-Control': 'private, s-maxage=60' }],
  ])('%s: every visitor asks', async (_name, headers) => {
    world.app = () => ({ headers })
    await get('/')
    await get('/')
    expect(world.seen).toHaveLength(2)
  })
  test('a port that only one visitor wrote stays with that visitor', async () => {
    world.app = ({ headers }) => ({ headers: minute, body: `http://${headers.host ?? 'a.test'}/` })
    await get('/', { host: 'a.test:1337' })
    expect((await get('/', { host: 'a.test' })).body).toBe('http://a.test/')
    expect((await get('/')).cache).toBe('hit')
  })
  test('host, scheme, deployment, project and query keep answers apart', async () => {
    world.app = () => ({ headers: minute })
    await get('/x')
    await get('/x?a')
    await get('/x', {}, { host: 'b.test' })
    await get('/x', {}, { scheme: 'https' })
    await get('/x', {}, { route: route({ deploymentId: 'd2' }) })
    await get('/x', {}, { route: route({ projectId: 'q' }) })
    expect(world.seen).toHaveLength(6)
  })
  test('Vary: each variant has its own; spellings of one Accept-Encoding share', async () => {
    world.app = ({ headers }) => ({ headers: { ...minute, Vary: 'Accept-Language, Accept-Encoding' }, body: headers['accept-language'] ?? 'none' })
    expect((await get('/', { 'accept-language': 'de', 'accept-encoding': 'gzip, br' })).body).toBe('de')
    expect((await get('/', { 'accept-language': 'en', 'accept-encoding': 'gzip, br' })).body).toBe('en')
    expect((await get('/', { 'accept-language': 'de', 'accept-encoding': 'br,gzip' })).body).toBe('de')
    expect((await get('/', { 'accept-language': 'en', 'accept-encoding': 'gzip;q=1.0, br' })).body).toBe('en')
    expect(world.seen).toHaveLength(2)
  })
  test('an answer that broke off, or is shorter than it said, is not kept', async () => {
    world.app = () => ({ headers: minute, body: 'half', cut: true })
    await expect(get('/')).rejects.toThrow('cut')
    world.app = () => ({ headers: { ...minute, 'Content-Length': '9' }, body: 'half' })
    await get('/')
    world.app = () => ({ headers: minute, body: 'whole' })
    expect((await get('/')).body).toBe('whole')
    expect(world.seen).toHaveLength(3)
  })
  test('conditions and ranges are answered from the whole', async () => {
    world.app = () => ({ headers: { ...minute, ETag: '"1"' }, body: '0123456789' })
    await get('/')
    expect(await get('/', { 'if-none-match': '"1"' })).toMatchObject({ status: 304, body: '', headers: { etag: '"1"' } })
    expect(await get('/', { range: 'bytes=2-4' })).toMatchObject({ status: 206, body: '234', headers: { 'content-range': 'bytes 2-4/10' } })
    expect(await get('/', { range: 'bytes=20-' })).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */10' } })
    expect(world.seen).toHaveLength(1)
  })
  test('a hit is coded for who takes it, with a weak ETag', async () => {
    const body = 'text and text '.repeat(300)
    world.app = () => ({ headers: { ...minute, ETag: '"1"', 'Content-Type': 'text/plain' }, body })
    await get('/')
    await until('it is coded', async () => (await get('/', { 'accept-encoding': 'br' })).headers['content-encoding'] === 'br')
    const hit = await get('/', { 'accept-encoding': 'br' })
    expect(brotliDecompressSync(hit.bytes).toString()).toBe(body)
    expect(hit.headers).toMatchObject({ etag: 'W/"1"', vary: 'Accept-Encoding', 'content-length': String(hit.bytes.length) })
    expect(await get('/', { 'accept-encoding': 'br', 'if-none-match': 'W/"1"' })).toMatchObject({ status: 304 })
    expect((await get('/')).body).toBe(body)
  })
  test('what describes bytes is not said of others: digests of a payload that is sent coded, or in part', async () => {
    const body = 'text and text '.repeat(300)
    const digests = { 'Content-Digest': 'sha-256=:x:', 'Repr-Digest': 'sha-256=:x:', Digest: 'sha-256=x', 'Content-MD5': 'x' }
    world.app = () => ({ headers: { ...minute, ...digests, 'Content-Type': 'text/plain' }, body })
    await get('/')
    expect(await get('/')).toMatchObject({ headers: { 'content-digest': 'sha-256=:x:', 'repr-digest': 'sha-256=:x:' } })
    const part = await get('/', { range: 'bytes=0-9' })
    expect(part.headers).toMatchObject({ 'repr-digest': 'sha-256=:x:', digest: 'sha-256=x' })
    expect(part.headers).not.toHaveProperty('content-digest')
    expect(part.headers).not.toHaveProperty('content-md5')
    await until('it is coded', async () => (await get('/', { 'accept-encoding': 'br' })).headers['content-encoding'] === 'br')
    const coded = await get('/', { 'accept-encoding': 'br' })
    for (const name of Object.keys(digests)) expect(coded.headers).not.toHaveProperty(name.toLowerCase())
  })
})

describe('concurrent misses', () => {
  test('become one request', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    world.app = async () => {
      await held
      return { headers: minute, body: 'one' }
    }
    const all = Array.from({ length: 20 }, () => get('/'))
    await flush()
    expect(world.seen).toHaveLength(1)
    release()
    for (const answer of await Promise.all(all)) expect(answer.body).toBe('one')
    expect(world.seen).toHaveLength(1)
  })
  test('whose asker leaves become one request again, not one for each who waited', async () => {
    let leave = () => {}
    world.app = () =>
      new Promise((resolve) => {
        leave = () => resolve({ headers: minute, body: 'half', cut: true })
      })
    const first = expect(get('/')).rejects.toThrow('cut')
    const others = Array.from({ length: 20 }, () => get('/'))
    await flush()
    world.app = async () => {
      await flush()
      return { headers: minute, body: 'whole' }
    }
    leave()
    await first
    for (const answer of await Promise.all(others)) expect(answer.body).toBe('whole')
    expect(world.seen).toHaveLength(2)
  })
  test('whose asker leaves go on, though the one who was to ask next leaves too', async () => {
    const facts = () => factsOf('/', { host: 'a.test' })
    const first = world.cache.filter(route(), facts(), '/')
    const waiting = Array.from({ length: 3 }, () => world.cache.lookup(route(), '/', facts()))
    first?.abort()
    expect(await Promise.all(waiting)).toEqual([null, null, null])
  })
  test('a handshake waits for none of them', async () => {
    world.app = () => new Promise<Reply>(() => {})
    void get('/')
    await flush()
    expect(world.cache.lookup(route(), '/', factsOf('/', { host: 'a.test', headers: { upgrade: 'websocket' } }))).toBeNull()
  })
  test('nobody waits once an address turned out not to be shared, nor those who bring a cookie', async () => {
    world.app = () => ({ body: 'mine' })
    await get('/')
    let arrived = 0
    world.app = () => {
      arrived++
      return new Promise<Reply>(() => {})
    }
    for (let i = 0; i < 5; i++) void get('/')
    for (let i = 0; i < 5; i++) void get('/other', { cookie: 'session=1' })
    await flush()
    expect(arrived).toBe(10)
  })
})

describe('bounds', () => {
  test('what memory has no room for comes back from disk, whole, and purging removes its files', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'switchyard-cache-'))
    try {
      await mkdir(path.join(directory, '4194303/left-behind'), { recursive: true })
      world.cache = create({ directory, memoryBytes: 400_000, maxEntryBytes: 40_000 })
      world.app = ({ target }) => ({ headers: minute, body: target.repeat(5_000) })
      const targets = Array.from({ length: 30 }, (_, i) => `/${i}`)
      for (const target of targets) await get(target)
      await expect
        .poll(async () => (await readdir(path.join(directory, String(process.pid)))).filter((name) => !name.endsWith('.tmp')).length)
        .toBeGreaterThan(5)
      await flush()
      for (const target of targets) expect((await get(target)).body).toBe(target.repeat(5_000))
      expect(world.seen).toHaveLength(30)
      expect(world.cache.purge({ projectId: 'p' })).toEqual({ entries: 30 })
      expect(await readdir(directory)).toEqual([String(process.pid)])
      await expect.poll(() => readdir(path.join(directory, String(process.pid)))).toEqual([])
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
  test('answers on their way into the store share a bound; what finds no room passes, and room is given back', async () => {
    world.cache = create({ maxCollectingBytes: 10_000 })
    world.app = ({ target }) => ({ headers: minute, body: target.repeat(1_000), cut: target === '/cut-off' })
    for (let i = 0; i < 20; i++) await expect(get('/cut-off')).rejects.toThrow('cut')
    expect((await get('/more-than-there-is-room-for')).body).toHaveLength(28_000)
    for (let i = 0; i < 20; i++) expect((await get(`/${i}`)).cache).toBe('miss')
    await flush()
    for (let i = 0; i < 20; i++) expect((await get(`/${i}`)).cache).toBe('hit')
    expect((await get('/more-than-there-is-room-for')).cache).toBe('miss')
  })
  test('what is coded suits only who takes the coding, though the instance forgot to say so', async () => {
    world.app = ({ headers }) => ({
      headers: { ...minute, ...(headers['accept-encoding'] ? { 'Content-Encoding': 'gzip' } : {}) },
      body: headers['accept-encoding'] ?? 'plain',
    })
    await get('/', { 'accept-encoding': 'gzip' })
    expect((await get('/')).body).toBe('plain')
  })
  test.each(['application/octet-stream', 'text/plain'])('8 MiB of %s are kept, as it is written', async (type) => {
    world.app = () => ({ headers: { ...minute, 'Content-Type': type }, body: 'x'.repeat(8 * 1024 * 1024) })
    await get('/large')
    expect((await get('/large')).cache).toBe('hit')
  })
  test('nobody waits for what turned out to be too large without having said so', async () => {
    world.cache = create({ maxEntryBytes: 1_000 })
    world.app = () => ({ headers: minute, body: 'x'.repeat(2_000) })
    await get('/')
    world.app = () => new Promise<Reply>(() => {})
    for (let i = 0; i < 3; i++) void get('/')
    await flush()
    expect(world.seen).toHaveLength(4)
  })
  test('without a disk the least used goes; a payload that is too large passes', async () => {
    world.cache = create({ memoryBytes: 400_000, maxEntryBytes: 20_000 })
    world.app = ({ target }) => ({ headers: minute, body: target.repeat(target === '/big' ? 50_000 : 2_000) })
    for (let i = 0; i < 200; i++) await get(`/${i}`)
    await get('/big')
    expect((await get('/big')).body).toHaveLength(200_000)
    expect(world.cache.purge({ projectId: 'p' }).entries).toBeLessThan(100)
  })
})
