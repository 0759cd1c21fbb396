import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ProjectRules } from '@/shared/project-rules'
import { routeTo, tableOf } from '../engine/contract/testing'
import type { TableCopy } from './copy'
import { checkHead, supersedes } from './schema'
import { SnapshotStore } from './snapshot'
import { build, copyOf } from './testing'

let directory: string
let store: SnapshotStore
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchyard-snapshot-'))
  store = new SnapshotStore(directory)
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const target = { instanceId: 'i', host: '127.0.0.1', port: 80 }
const makeTable = () => tableOf([routeTo('app.test', [target], { policy: 'p' }), routeTo('münchen.test', [])])
/** With every kind of part. */
const makeCopy = (): TableCopy =>
  copyOf({
    ...makeTable(),
    policies: { p: { sticky: true } as ProjectRules },
    certificates: [{ id: 'c', names: ['app.test'], notAfter: 1 }],
    httpsPort: 443,
    outsideHosts: ['a.test'],
  })
const loaded = () => {
  const { hosts, from } = store.load()
  return { from, version: hosts.version }
}

test('what was stored is loaded, readable for its owner alone', async () => {
  const copy = makeCopy()
  expect(await store.save(copy)).toBe('written')
  const { hosts, parts, ...rest } = store.load()
  expect(rest).toEqual({ from: 'current', problems: [] })
  expect(parts.size).toBe(3)
  expect(hosts).toMatchObject({ version: copy.version, generatedAt: copy.generatedAt, httpsPort: 443, outsideHosts: ['a.test'], size: 2 })
  expect(hosts.find('app.test')).toMatchObject({ targets: [target], policy: { sticky: true } })
  expect(hosts.find('xn--mnchen-3ya.test')).toBeDefined()
  expect(hosts.certificates).toEqual([{ id: 'c', names: ['app.test'], notAfter: 1 }])
  expect((await stat(store.file)).mode & 0o777).toBe(0o600)
  expect((await readdir(directory)).sort()).toEqual(['route-table.json'])
})

test('without any file the empty table is served', () => {
  expect(loaded()).toEqual({ from: 'empty', version: 0 })
  expect(store.load().hosts.size).toBe(0)
})

test('a file cut at any byte gives way to the previous one', async () => {
  const [first, second] = [makeCopy(), makeCopy()]
  await store.save(first)
  await store.save(second)
  const whole = await readFile(store.file)
  for (let length = 0; length < whole.length; length++) {
    await writeFile(store.file, whole.subarray(0, length))
    expect(loaded(), `cut at ${length}`).toEqual({ from: 'previous', version: first.version })
  }
})

test('a file changed at any byte gives way to the previous one', async () => {
  const [first, second] = [makeCopy(), makeCopy()]
  await store.save(first)
  await store.save(second)
  const whole = await readFile(store.file)
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    await writeFile(store.file, changed)
    expect(store.load().from, `changed at ${at}`).toBe('previous')
  }
})

test.each([
  ['garbage', Buffer.from('\0\xff{]garbage')],
  ['another format', Buffer.from('{"format":3}\n{}')],
  ['JSON without a header', Buffer.from('null\n')],
  ['too much', Buffer.from('x')],
])('%s in both files: the empty table is served', async (what, bytes) => {
  await store.save(makeCopy())
  const content = what === 'too much' ? Buffer.concat([await readFile(store.file), bytes]) : bytes
  await writeFile(store.file, content)
  await writeFile(store.previous, content)
  expect(store.load().from).toBe('empty')
  expect(store.load().problems).toHaveLength(2)
})

test('a broken current file is never kept as the previous one', async () => {
  const [first, second, third] = [makeCopy(), makeCopy(), makeCopy()]
  await store.save(first)
  await store.save(second)
  await writeFile(store.file, 'broken')
  await store.save(third)
  await writeFile(store.file, 'broken again')
  expect(loaded()).toEqual({ from: 'previous', version: first.version })
})

test('an older table never replaces a newer one', async () => {
  const [older, newer] = [makeCopy(), makeCopy()]
  expect(older.generatedAt <= newer.generatedAt).toBe(true)
  await store.save(newer)
  expect(await store.save(older)).toBe('kept')
  expect(await store.save(newer)).toBe('kept')
  expect(loaded().version).toBe(newer.version)
})

test('a file whose checksum holds and whose table does not is refused', async () => {
  const copy = copyOf(tableOf([routeTo('app.test', [{ ...target, port: 0 }])]))
  await store.save(copy)
  expect(store.load()).toMatchObject({ from: 'empty', problems: [expect.stringContaining('routes.0.targets.0.port'), expect.anything()] })
})

test('several workers that store the same tables leave whole files', async () => {
  const copies = Array.from({ length: 10 }, makeCopy)
  const stores = Array.from({ length: 4 }, () => new SnapshotStore(directory))
  let unreadable = 0
  for (const copy of copies) {
    const saves = Promise.all(stores.map((one) => one.save(copy)))
    if (copy !== copies[0] && store.load().from === 'empty') unreadable++
    await saves
  }
  expect(unreadable).toBe(0)
  expect(loaded()).toEqual({ from: 'current', version: copies.at(-1)?.version })
  expect((await readdir(directory)).sort()).toEqual(['route-table.json', 'route-table.previous.json'])
})

test('a directory that cannot be written to keeps the last good table', async () => {
  const copy = makeCopy()
  await store.save(copy)
  // Root passes any mode, so the directory is put in the way of the write instead.
  const blocked = new SnapshotStore(path.join(store.file, 'not-a-directory'))
  await expect(blocked.save(makeCopy())).rejects.toThrow()
  await chmod(directory, 0o500)
  expect(loaded().version).toBe(copy.version)
  await chmod(directory, 0o700)
})

test.each([
  ['no object', null],
  ['no version', { ...makeTable(), version: undefined }],
  ['a negative version', { ...makeTable(), version: -1 }],
])('a table whose head has %s is refused', (_what, head) => {
  expect(() => checkHead(head)).toThrow('invalid route table')
})

test.each([
  ['a target that is a name', tableOf([routeTo('a.test', [{ ...target, host: 'localhost' }])])],
  ['a port out of range', tableOf([routeTo('a.test', [{ ...target, port: 70_000 }])])],
  ['a host that is not a hostname', tableOf([routeTo('a/b', [])])],
  ['one host twice', tableOf([routeTo('a.test', []), routeTo('A.TEST', [])])],
  ['an unknown state', tableOf([{ ...routeTo('a.test', []), state: 'odd' as 'live' }])],
])('a table with %s is refused', (_what, table) => {
  expect(() => build(table)).toThrow()
})

test('a restored database, whose versions start lower, is told from a late message by its date', () => {
  const now = { version: 500, generatedAt: '2026-01-02T00:00:00Z' }
  expect(supersedes({ version: 501, generatedAt: '2026-01-02T00:00:01Z' }, now)).toBe(true)
  expect(supersedes({ version: 3, generatedAt: '2026-02-01T00:00:00Z' }, now)).toBe(true)
  expect(supersedes({ version: 499, generatedAt: '2026-01-01T23:59:59Z' }, now)).toBe(false)
  expect(supersedes(now, now)).toBe(false)
})
