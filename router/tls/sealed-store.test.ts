import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SealedStore, seal, unseal } from './sealed-store'
import { storeKey } from './store-key'

const pair = { id: 'c1.abc', chainPem: '-----BEGIN CERTIFICATE-----\nchain', keyPem: '-----BEGIN PRIVATE KEY-----\nkey' }
const log = { info: () => {}, warn: () => {}, error: () => {} }
let directory: string
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'sealed-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('a sealed pair', () => {
  const key = randomBytes(32)

  test('comes back whole, and says nothing to who has not the key', () => {
    const sealed = seal(pair, key)
    expect(unseal(sealed, pair.id, key)).toEqual(pair)
    expect(sealed.toString('latin1')).not.toMatch(/PRIVATE|chain|key/)
    expect(seal(pair, key).equals(sealed)).toBe(false)
  })

  test('cut at any byte, changed in any byte, under another id or key, it is nothing', () => {
    const sealed = seal(pair, key)
    for (let cut = 0; cut < sealed.length; cut++) expect(unseal(sealed.subarray(0, cut), pair.id, key)).toBeNull()
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(unseal(changed, pair.id, key)).toBeNull()
    }
    expect(unseal(Buffer.concat([sealed, Buffer.from('x')]), pair.id, key)).toBeNull()
    expect(unseal(sealed, 'c2.abc', key)).toBeNull()
    expect(unseal(sealed, pair.id, randomBytes(32))).toBeNull()
  })
})

describe('the store', () => {
  const key = randomBytes(32)
  const open = () => new SealedStore(path.join(directory, 'certificates'), key)
  const fileOf = () => path.join(directory, 'certificates', readdirSync(path.join(directory, 'certificates'))[0] ?? '')

  test('what was saved is there for the next, readable by nobody else', async () => {
    await open().save(pair)
    const next = open()
    expect(next.has(pair.id)).toBe(true)
    expect(next.has('other')).toBe(false)
    expect(await next.load(pair.id)).toEqual(pair)
    expect(statSync(fileOf()).mode & 0o777).toBe(0o600)
    expect(statSync(path.dirname(fileOf())).mode & 0o777).toBe(0o700)
    expect(path.basename(fileOf())).toMatch(/^[0-9a-f]{64}$/)
  })

  test('what another worker saved is found although nobody said so', async () => {
    const first = open()
    await open().save(pair)
    expect(first.has(pair.id)).toBe(false)
    expect(await first.load(pair.id)).toEqual(pair)
    expect(first.has(pair.id)).toBe(true)
  })

  test('a damaged file is as none, goes away, and can be saved anew', async () => {
    await open().save(pair)
    truncateSync(fileOf(), 40)
    const store = open()
    expect(await store.load(pair.id)).toBeNull()
    expect(store.has(pair.id)).toBe(false)
    await store.save(pair)
    expect(await open().load(pair.id)).toEqual(pair)
  })

  test('where it cannot write, it says so and reads on', async () => {
    writeFileSync(path.join(directory, 'certificates'), 'a file in the way')
    const store = open()
    await expect(store.save(pair)).rejects.toThrow()
    expect(await store.load(pair.id)).toBeNull()
    expect(await store.sweep([], Date.now())).toBe(0)
  })

  test('only what is unused and old is swept, leftovers of writes too', async () => {
    const store = open()
    const old = new Date(Date.now() - 100_000)
    for (const id of ['kept', 'unused', 'new']) await store.save({ ...pair, id })
    const files = path.join(directory, 'certificates')
    const [newest] = readdirSync(files)
      .map((name) => ({ name, pair: unseal(readFileSync(path.join(files, name)), 'new', key) }))
      .filter(({ pair }) => pair)
    writeFileSync(path.join(files, `${'a'.repeat(64)}.123.tmp`), '')
    writeFileSync(path.join(files, 'README'), '')
    for (const name of readdirSync(files)) if (name !== newest?.name) utimesSync(path.join(files, name), old, old)
    expect(await store.sweep(['kept'], Date.now() - 50_000)).toBe(2)
    expect([store.has('kept'), store.has('unused'), store.has('new')]).toEqual([true, false, true])
    expect(readdirSync(files)).toContain('README')
  })
})

describe('the key of the store', () => {
  const file = () => path.join(directory, 'edge.key')

  test('is made once, for all workers, readable by nobody else', () => {
    const first = storeKey(file(), log)
    expect(first).toHaveLength(32)
    expect(storeKey(file(), log).equals(first)).toBe(true)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    expect(readdirSync(directory)).toEqual(['edge.key'])
  })

  test('that others could read is closed to them, said, and used on', () => {
    const key = storeKey(file(), log)
    chmodSync(file(), 0o644)
    const said: string[] = []
    expect(storeKey(file(), { ...log, error: (_fields, message) => said.push(message) }).equals(key)).toBe(true)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    expect(said.join()).toMatch(/0600/)
  })

  test('that is cut at any byte is replaced', () => {
    storeKey(file(), log)
    const text = readFileSync(file())
    for (const cut of [0, 1, 32, 63, 64]) {
      writeFileSync(file(), text.subarray(0, cut))
      const key = storeKey(file(), log)
      expect(key).toHaveLength(32)
      expect(storeKey(file(), log).equals(key)).toBe(true)
    }
  })

  test('that cannot be kept is still a key', () => {
    mkdirSync(file())
    expect(storeKey(file(), log)).toHaveLength(32)
    expect(storeKey(path.join(directory, 'none', 'edge.key'), log)).toHaveLength(32)
  })
})
