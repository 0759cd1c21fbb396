import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { until } from '../engine/contract/testing'
import { factsOf, liveRoute as route } from '../gate/testing'
import { cacheWorld, flush, minute, sizesIn } from './testing'

const world = cacheWorld()
const { create, get } = world

describe('going stale', () => {
  test('stale-while-revalidate: the old one at once, one request beside it, then the new one', async () => {
    let n = 0
    world.app = () => ({ headers: { 'Cache-Control': 's-maxage=1, stale-while-revalidate=60', ETag: `"${n}"` }, body: `v${n++}` })
    await get('/')
    world.now += 5_000
    expect(await Promise.all([get('/'), get('/'), get('/')])).toMatchObject([{ cache: 'stale', body: 'v0' }, { body: 'v0' }, { body: 'v0' }])
    await flush()
    expect(world.seen).toHaveLength(2)
    expect(world.seen[1]?.headers).toMatchObject({ 'if-none-match': '"0"' })
    expect(await get('/')).toMatchObject({ cache: 'hit', body: 'v1' })
  })
  test('a project whose instance is slow keeps others from nothing: its entries are few among those being refreshed', async () => {
    world.app = () => ({ headers: { 'Cache-Control': 's-maxage=1, stale-while-revalidate=60' } })
    const pages = Array.from({ length: 40 }, (_, i) => `/${i}`)
    for (const page of pages) await get(page)
    await get('/', {}, { route: route({ projectId: 'q' }) })
    world.now += 5_000
    world.seen = []
    world.app = () => new Promise(() => {})
    for (const page of pages) expect((await get(page)).cache).toBe('stale')
    await get('/', {}, { route: route({ projectId: 'q' }) })
    expect(world.seen.map(({ target }) => target)).toContain('/')
  })
  test('past the window nobody is given it, but a 304 makes it count again', async () => {
    world.app = ({ headers }) =>
      headers['if-none-match'] === '"1"'
        ? { status: 304, headers: { ...minute, 'X-New': '2' } }
        : { headers: { ...minute, ETag: '"1"' }, body: 'one' }
    await get('/')
    world.now += 61_000
    expect(await get('/')).toMatchObject({ status: 200, cache: 'revalidated', body: 'one', headers: { 'x-new': '2', age: '0' } })
    expect(await get('/')).toMatchObject({ cache: 'hit', body: 'one' })
    expect(world.seen).toHaveLength(2)
  })
  test('a visitor without conditions is never told "not modified", though the answer before could not be shared', async () => {
    world.app = () => ({ headers: { ...minute, ETag: '"1"' }, body: 'one' })
    await get('/')
    world.now += 61_000
    world.app = () => ({ status: 429, body: 'later' })
    expect(await get('/')).toMatchObject({ status: 429 })
    world.app = ({ headers }) => (headers['if-none-match'] === '"1"' ? { status: 304, headers: minute } : { headers: minute, body: 'one' })
    expect(await get('/')).toMatchObject({ status: 200, body: 'one' })
  })
  test('a 304 finds the answer it speaks of, though its payload left memory meanwhile', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'switchyard-cache-'))
    try {
      world.cache = create({ directory, memoryBytes: 80_000, maxEntryBytes: 40_000 })
      world.app = ({ target }) => ({ headers: { ...minute, ETag: '"1"' }, body: 'x'.repeat(target === '/a' ? 4_000 : 3_000) })
      await get('/a')
      world.now += 61_000
      const first = world.app
      world.app = async (request) => {
        if (request.headers['if-none-match'] === undefined) return first(request)
        for (let i = 0; i < 40; i++) await get(`/other/${i}`)
        await until('it is on disk', async () => (await sizesIn(directory)).includes(4_000))
        await flush()
        return { status: 304, headers: minute }
      }
      const { status, cache: state, body } = await get('/a')
      expect([status, state, body.length]).toEqual([200, 'revalidated', 4_000])
    } finally {
      world.cache.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
  test('what lies on disk is validated, and covers an error, as what lies in memory is', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'switchyard-cache-'))
    try {
      world.cache = create({ directory, memoryBytes: 80_000, maxEntryBytes: 40_000 })
      world.app = ({ target }) => ({
        headers: { 'Cache-Control': 's-maxage=60, stale-if-error=600', ETag: '"1"' },
        body: 'x'.repeat(target === '/a' ? 4_000 : target === '/b' ? 4_001 : 3_000),
      })
      await get('/a')
      await get('/b')
      for (let i = 0; i < 40; i++) await get(`/other/${i}`)
      await until('both are on disk', async () => {
        const sizes = await sizesIn(directory)
        return sizes.includes(4_000) && sizes.includes(4_001)
      })
      await flush()
      world.now += 61_000
      world.app = ({ headers }) => ({ status: headers['if-none-match'] === '"1"' ? 304 : 200, headers: minute })
      expect(await get('/a')).toMatchObject({ cache: 'revalidated', body: 'x'.repeat(4_000) })
      world.app = () => ({ status: 503 })
      expect(await get('/b')).toMatchObject({ cache: 'stale', body: 'x'.repeat(4_001) })
    } finally {
      world.cache.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
  test('a clock that is set back keeps nothing fresh for longer', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      world.cache = create({ now: undefined })
      world.app = () => ({ headers: { 'Cache-Control': 's-maxage=1' } })
      await get('/')
      vi.setSystemTime(Date.now() - 3_600_000)
      expect((await get('/')).headers.age).toBe('0')
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      expect((await get('/')).cache).toBe('miss')
    } finally {
      vi.useRealTimers()
    }
  })
  test('a visitor with conditions of their own gets the instance’s answer to them', async () => {
    world.app = ({ headers }) => ({ status: headers['if-none-match'] ? 304 : 200, headers: { ...minute, ETag: '"1"' }, body: '' })
    await get('/')
    world.now += 61_000
    expect(await get('/', { 'if-none-match': '"1"' })).toMatchObject({ status: 304 })
    expect(world.seen[1]?.headers['if-none-match']).toBe('"1"')
  })
  test('stale-if-error: an error of the instance is replaced, and an instance that cannot be asked too', async () => {
    world.app = () => ({ headers: { 'Cache-Control': 's-maxage=1, stale-if-error=600' }, body: 'good' })
    await get('/')
    world.now += 10_000
    world.app = () => ({ status: 503, body: 'bad' })
    expect(await get('/')).toMatchObject({ status: 200, cache: 'stale', body: 'good' })
    const facts = factsOf('/', { host: 'a.test' })
    expect(await world.cache.insteadOfError(route(), '/', facts)).toMatchObject({ status: 200 })
    world.now += 600_000
    expect(await get('/')).toMatchObject({ status: 503 })
    expect(await world.cache.insteadOfError(route(), '/', facts)).toBeNull()
  })
})
