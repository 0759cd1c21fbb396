import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { until } from '../engine/contract/testing'
import { factsOf } from '../gate/testing'
import type { WorkQueue } from '../http/work-queue'
import { DiskTier } from './disk-tier'
import { Entry } from './entry'
import { EntryStore } from './store'

const kiB = 1024
let directory: string
let disk: DiskTier
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchyard-store-'))
  disk = new DiskTier(directory)
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const lifetime = { freshMs: 60_000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }
const entryOf = (uri: string) => new Entry({ uri, projectId: 'p', paths: [], vary: [] }, 200, [], Buffer.alloc(8 * kiB, uri), lifetime, 0)
/** Stores so many, of which ten fit into memory. */
function filled(count: number, options: { writingBytes?: number } = {}) {
  const store = new EntryStore({ memoryBytes: 160 * kiB, diskBytes: 64 * 1024 * kiB, disk, ...options })
  const entries = Array.from({ length: count }, (_, i) => entryOf(`/${i}`))
  for (const entry of entries) store.put(entry)
  return { store, entries }
}

test('many who ask at once for what is on disk read it once', async () => {
  const { store, entries } = filled(30)
  await until('some are on disk', () => entries.some((entry) => entry.body === null))
  const away = entries.find((entry) => entry.body === null) as Entry
  const get = vi.spyOn(disk, 'get')
  const bodies = await Promise.all(Array.from({ length: 100 }, () => store.body(away)))
  expect(new Set(bodies).size).toBe(1)
  expect(bodies[0]?.equals(Buffer.alloc(8 * kiB, away.origin.uri))).toBe(true)
  expect(get).toHaveBeenCalledTimes(1)
})

test('a slow disk does not keep in memory what is to leave it: beyond a bound it is let go of', async () => {
  vi.spyOn(disk, 'put').mockReturnValue(new Promise(() => {}))
  const { store } = filled(1_000, { writingBytes: 200 * kiB })
  expect(store.size).toBeLessThan(50)
})

test('variants of one address beyond a bound push the oldest out, and nothing else waits for that', () => {
  const store = new EntryStore({ memoryBytes: 64 * 1024 * kiB, diskBytes: 0, disk: null })
  for (let i = 0; i < 40; i++) {
    const vary = [{ name: 'accept-language', normalized: `l${i}`, raw: `l${i}` }]
    expect(store.put(new Entry({ uri: '/', projectId: 'p', paths: [], vary }, 200, [], Buffer.from(`${i}`), lifetime, 0))).toBe(true)
  }
  const kept = Array.from({ length: 40 }, (_, i) => store.find('/', () => `l${i}`)).filter((entry) => entry !== null)
  expect(kept.map(({ body }) => String(body))).toEqual(Array.from({ length: 32 }, (_, i) => `${i + 8}`))
})

test('an entry whose fields grow counts for what they take, and goes when that is too much', () => {
  const { store, entries } = filled(3)
  const [first] = entries as [Entry]
  first.freshen([['X-Trace', 'x'.repeat(20 * kiB)]], null, 0)
  store.weigh(first)
  expect(store.find('/0', () => undefined)).toBeNull()
  expect(store.find('/1', () => undefined)).toBe(entries[1])
})

test('a payload that waits to be coded is not kept in memory by that, once it had to leave', async () => {
  const { store, entries } = filled(1)
  const origin = { uri: '/text', projectId: 'p', paths: [], vary: [] }
  const entry = new Entry(origin, 200, [['Content-Type', 'text/plain']], Buffer.alloc(8 * kiB), lifetime, 0)
  store.put(entry)
  const waiting: (() => Promise<void>)[] = []
  const queue = { add: (work: () => Promise<void>) => waiting.push(work) > 0 } as unknown as WorkQueue
  entry.answer(factsOf('/text', { headers: { 'accept-encoding': 'br' } }), entry.body as Buffer, 'hit', 0, queue)
  expect(waiting).toHaveLength(1)
  store.remove(entry)
  expect(entry.body).toBeNull()
  await waiting[0]?.()
  expect(store.find('/0', () => undefined)).toBe(entries[0])
})

test('a purge by many paths looks at each stored path once: the worker has other visitors', () => {
  const store = new EntryStore({ memoryBytes: 1024 * 1024 * kiB, diskBytes: 0, disk: null })
  const paths = (i: number) => [`/stra%C3%9Fe/${i}`]
  for (let i = 0; i < 30_000; i++)
    store.put(new Entry({ uri: `/${i}`, projectId: 'p', paths: paths(i), vary: [] }, 200, [], Buffer.from('x'), lifetime, 0))
  const decoded = vi.spyOn(globalThis, 'decodeURIComponent')
  expect(store.purge({ projectId: 'p', paths: Array.from({ length: 100 }, (_, i) => `/none/${i}*`) })).toBe(0)
  expect(decoded.mock.calls.length).toBeLessThan(31_000)
  decoded.mockRestore()
})
