import { describe, expect, test } from 'vitest'
import { until } from '../engine/contract/testing'
import { factsOf, liveRoute as route } from '../gate/testing'
import { HostTable } from '../match/host-table'
import { cacheWorld, flush, minute, type Reply } from './testing'

const world = cacheWorld()
const { get } = world

describe('removing', () => {
  const fill = async () => {
    world.app = ({ target }) => ({ headers: { ...minute, 'Cache-Tag': target.startsWith('/blog') ? 'blog, all' : 'all' } })
    for (const target of ['/', '/blog/1', '/blog/2', '/blog/2?x']) await get(target)
    await get('/', {}, { route: route({ projectId: 'q' }) })
    world.seen = []
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
    expect(world.cache.purge({ projectId: 'p', ...wish })).toEqual({ entries })
    for (const target of ['/', '/blog/1', '/blog/2', '/blog/2?x']) await get(target)
    await get('/', {}, { route: route({ projectId: 'q' }) })
    expect(world.seen).toHaveLength(entries)
  })
  test.each([
    [['/straße/ü'], 3],
    [['/stra%C3%9Fe/%C3%BC'], 3],
    [['/straße/*'], 3],
    [['/stra%c3%9fe/%c3%bc'], 3],
    [['/stra%C3*'], 2],
    [['/100%'], 1],
    [['/strasse/*'], 0],
  ])('%j as a person writes it: %i that visitors asked for in their spellings are removed', async (paths, entries) => {
    world.app = () => ({ headers: minute })
    for (const target of ['/stra%C3%9Fe/%C3%BC', '/stra%c3%9fe/%c3%bc', '/stra%C3%9Fe/%C3%BC?x', '/100%']) await get(target)
    expect(world.cache.purge({ projectId: 'p', paths })).toEqual({ entries })
  })
  test('what was asked for before a purge is not stored after it', async () => {
    let release = () => {}
    world.app = () =>
      new Promise((resolve) => {
        release = () => resolve({ headers: minute, body: 'old' })
      })
    const old = get('/')
    await flush()
    world.cache.purge({ projectId: 'p' })
    release()
    expect((await old).body).toBe('old')
    world.app = () => ({ headers: minute, body: 'new' })
    expect((await get('/')).body).toBe('new')
  })
  test.each(['a purge', 'a change'])('nor is what took so long that others asked meanwhile stored after %s', async (what) => {
    const held: ((reply: Reply) => void)[] = []
    world.app = ({ method }) => (method === 'GET' ? new Promise((resolve) => held.push(resolve)) : {})
    const slow = get('/')
    await flush()
    world.now += 4_000
    const other = get('/')
    await until('both are on their way', () => held.length === 2)
    held[1]?.({ body: 'not shared' })
    await other
    if (what === 'a purge') world.cache.purge({ projectId: 'p' })
    else await get('/', {}, { method: 'POST' })
    held[0]?.({ headers: minute, body: 'old' })
    expect((await slow).body).toBe('old')
    world.app = () => ({ headers: minute, body: 'new' })
    expect((await get('/')).body).toBe('new')
  })
  test('a change that began before anything was kept of its address removes what was kept until it ended', async () => {
    const facts = factsOf('/x', { host: 'a.test', method: 'POST' })
    const change = world.cache.filter(route(), facts, '/x')
    world.app = () => ({ headers: minute, body: 'old' })
    await get('/x')
    expect(change?.wants?.(200, () => undefined)).toBe(false)
    world.app = () => ({ headers: minute, body: 'new' })
    expect((await get('/x')).body).toBe('new')
  })
  test.each([
    ['POST', 200, 2],
    ['MKCOL', 201, 2],
    ['PROPFIND', 207, 1],
    ['DELETE', 302, 2],
    ['PUT', 500, 1],
    ['OPTIONS', 200, 1],
  ])('%s with %i: the address is asked for %i times', async (method, status, asked) => {
    world.app = () => ({ headers: minute })
    await get('/x')
    world.app = () => ({ status })
    await get('/x', {}, { method })
    world.app = () => ({ headers: minute })
    await get('/x')
    expect(world.seen.filter((request) => request.method === 'GET')).toHaveLength(asked)
  })
  test('a table without the deployment lets go of its answers', async () => {
    world.app = () => ({ headers: minute })
    await get('/')
    const { policy: _policy, ...plain } = route({ deploymentId: 'd2' })
    world.cache.apply(new HostTable({ version: 1, generatedAt: '', dashboardUrl: '', routes: [plain] }))
    await get('/')
    expect(world.seen).toHaveLength(2)
  })
})
