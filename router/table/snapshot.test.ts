import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { routeTo, tableOf } from '../proxy/testing'
import { checkTable, supersedes } from './schema'
import { SnapshotStore } from './snapshot'

let directory: string
let store: SnapshotStore
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchyard-snapshot-'))
  store = new SnapshotStore(directory)
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const target = { instanceId: 'i', host: '127.0.0.1', port: 80 }
const makeTable = () => tableOf([routeTo('app.test', [target]), routeTo('münchen.test', [])])

test('what was stored is loaded, readable for its owner alone', async () => {
  const table = makeTable()
  expect(await store.save(table)).toBe('written')
  expect(store.load()).toMatchObject({ from: 'current', table, problems: [] })
  expect(store.load().hosts.find('app.test')?.targets).toEqual([target])
  expect((await readdir(directory)).sort()).toEqual(['route-table.json'])
})

test('without any file the empty table is served', () => {
  expect(store.load()).toMatchObject({ from: 'empty', table: { version: 0, routes: [] } })
})

test('a file cut at any byte gives way to the previous one', async () => {
  const [first, second] = [makeTable(), makeTable()]
  await store.save(first)
  await store.save(second)
  const whole = await readFile(store.file)
  for (let length = 0; length < whole.length; length++) {
    await writeFile(store.file, whole.subarray(0, length))
    expect(store.load(), `cut at ${length}`).toMatchObject({ from: 'previous', table: { version: first.version } })
  }
})

test('a file changed at any byte gives way to the previous one', async () => {
  const [first, second] = [makeTable(), makeTable()]
  await store.save(first)
  await store.save(second)
  const whole = await readFile(store.file)
  const body = whole.indexOf(10) + 1
  for (let at = body; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    await writeFile(store.file, changed)
    expect(store.load().from, `changed at ${at}`).toBe('previous')
  }
})

test.each([
  ['garbage', Buffer.from('\0\xff{]garbage')],
  ['another format', Buffer.from('{"format":2}\n{}')],
  ['JSON without a header', Buffer.from('null\n')],
  ['too much', Buffer.from('x')],
])('%s in both files: the empty table is served', async (what, bytes) => {
  await store.save(makeTable())
  const content = what === 'too much' ? Buffer.concat([await readFile(store.file), bytes]) : bytes
  await writeFile(store.file, content)
  await writeFile(store.previous, content)
  expect(store.load().from).toBe('empty')
  expect(store.load().problems).toHaveLength(2)
})

test('a broken current file is never kept as the previous one', async () => {
  const [first, second, third] = [makeTable(), makeTable(), makeTable()]
  await store.save(first)
  await store.save(second)
  await writeFile(store.file, 'broken')
  await store.save(third)
  await writeFile(store.file, 'broken again')
  expect(store.load()).toMatchObject({ from: 'previous', table: { version: first.version } })
})

test('an older table never replaces a newer one', async () => {
  const [older, newer] = [makeTable(), makeTable()]
  await store.save(newer)
  expect(await store.save({ ...older, generatedAt: newer.generatedAt })).toBe('kept')
  expect(await store.save(newer)).toBe('kept')
  expect(store.load().table.version).toBe(newer.version)
})

test('several workers that store the same tables leave whole files', async () => {
  const tables = Array.from({ length: 10 }, makeTable)
  const stores = Array.from({ length: 4 }, () => new SnapshotStore(directory))
  let unreadable = 0
  for (const table of tables) {
    const saves = Promise.all(stores.map((one) => one.save(table)))
    if (table !== tables[0] && store.load().from === 'empty') unreadable++
    await saves
  }
  expect(unreadable).toBe(0)
  expect(store.load()).toMatchObject({ from: 'current', table: { version: tables.at(-1)?.version } })
  expect((await readdir(directory)).sort()).toEqual(['route-table.json', 'route-table.previous.json'])
})

test('a directory that cannot be written to keeps the last good table', async () => {
  const table = makeTable()
  await store.save(table)
  // Root passes any mode, so the directory is put in the way of the write instead.
  const blocked = new SnapshotStore(path.join(store.file, 'not-a-directory'))
  await expect(blocked.save(makeTable())).rejects.toThrow()
  await chmod(directory, 0o500)
  expect(store.load().table.version).toBe(table.version)
  await chmod(directory, 0o700)
})

test.each([
  ['no object', null],
  ['no version', { ...makeTable(), version: undefined }],
  ['a negative version', { ...makeTable(), version: -1 }],
  ['a target that is a name', tableOf([routeTo('a.test', [{ ...target, host: 'localhost' }])])],
  ['a port out of range', tableOf([routeTo('a.test', [{ ...target, port: 70_000 }])])],
  ['a host that is none', tableOf([routeTo('a/b', [])])],
  ['one host twice', tableOf([routeTo('a.test', []), routeTo('A.TEST', [])])],
  ['an unknown state', { ...tableOf([]), routes: [{ ...routeTo('a.test', []), state: 'odd' }] }],
])('a table with %s is refused', (_what, table) => {
  expect(() => checkTable(table)).toThrow()
})

test('a restored database, whose versions start lower, is told from a late message by its date', () => {
  const now = { version: 500, generatedAt: '2026-01-02T00:00:00Z' }
  expect(supersedes({ version: 501, generatedAt: '2026-01-02T00:00:01Z' }, now)).toBe(true)
  expect(supersedes({ version: 3, generatedAt: '2026-02-01T00:00:00Z' }, now)).toBe(true)
  expect(supersedes({ version: 499, generatedAt: '2026-01-01T23:59:59Z' }, now)).toBe(false)
  expect(supersedes(now, now)).toBe(false)
})
