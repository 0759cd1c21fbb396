import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '@/test/support/database'
import { type Database, openDatabase } from '../database/client'
import { readAuthSecret } from './key-file'
import { openSecrets, type Secrets } from './secrets'

let server: TestDatabase
let database: Database
let home: string
let secrets: Secrets
const open = () => openSecrets({ prisma: database.prisma, home })
const keyFile = () => path.join(home, 'secrets', 'master.key')

beforeAll(async () => {
  server = await createTestDatabase()
  database = openDatabase(server.url, { poolSize: 2 })
  home = await mkdtemp(path.join(tmpdir(), 'sy-secrets-'))
  secrets = await open()
  for (const id of ['a', 'b']) await database.prisma.team.create({ data: { id, name: id, slug: id, dataKey: secrets.createDataKey(id) } })
})
afterAll(async () => {
  await database.close()
  await server.drop()
  await rm(home, { recursive: true, force: true })
})

it('generates a key only its owner can read, and finds it again', async () => {
  expect((await stat(keyFile())).mode & 0o777).toBe(0o600)
  const sealed = await secrets.seal('a', 'pä$$')
  expect(Buffer.from(sealed).includes('pä$$')).toBe(false)
  expect(await (await open()).open('a', sealed)).toBe('pä$$')
})

it('never seals one value the same way twice', async () => {
  expect(Buffer.from(await secrets.seal('a', 'x')).equals(await secrets.seal('a', 'x'))).toBe(false)
})

it('refuses a value of another team and a changed one', async () => {
  const sealed = await secrets.seal('a', 'x')
  await expect(secrets.open('b', sealed)).rejects.toMatchObject({ code: 'ERR_INTERNAL' })
  sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1
  await expect(secrets.open('a', sealed)).rejects.toMatchObject({ code: 'ERR_INTERNAL' })
})

it('refuses to start with a wrong, short, placeholder, readable or missing key', async () => {
  const right = await readFile(keyFile())
  const write = (bytes: Uint8Array) => writeFile(keyFile(), Buffer.from(bytes).toString('base64'))
  await write(Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7)))
  await expect(open()).rejects.toThrow('is not the key this database was encrypted with')
  await write(right.subarray(0, 16))
  await expect(open()).rejects.toThrow('does not hold 32 bytes')
  await write(Buffer.alloc(32, 'a'))
  await expect(open()).rejects.toThrow('is not random')
  await writeFile(keyFile(), right)
  await chmod(keyFile(), 0o640)
  await expect(open()).rejects.toThrow('other users')
  await rm(keyFile())
  await expect(open()).rejects.toThrow('is missing')
  await writeFile(keyFile(), right, { mode: 0o600 })
  await open()
})

it('a fingerprint is the same after a restart, and differs by purpose and from any hash without the key', async () => {
  const mark = secrets.fingerprint('api-key', 'password')
  expect((await open()).fingerprint('api-key', 'password')).toBe(mark)
  expect(secrets.fingerprint('other', 'password')).not.toBe(mark)
  for (const algorithm of ['sha256', 'sha512', 'md5']) expect(createHash(algorithm).update('password').digest('hex')).not.toContain(mark)
})

it('keeps the session secret over restarts', async () => {
  expect(await readAuthSecret(home)).toBe(await readAuthSecret(home))
})
