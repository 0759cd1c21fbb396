import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeBlobStore } from './contract'
import { createLocalStore } from './local'

let base: string
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'blobs-'))
})
afterAll(() => rm(base, { recursive: true, force: true }))

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
}

let counter = 0
describeBlobStore('local disk', async () => {
  counter += 1
  const directory = path.join(base, String(counter))
  return { store: createLocalStore(directory), isEmpty: async () => (await filesBelow(directory)).length === 0 }
})

test('blobs are sharded, private to the platform, stored once, and survive a new process', async () => {
  const directory = path.join(base, 'shards')
  const bytes = async function* () {
    yield Buffer.from('x')
  }
  const { digest } = await createLocalStore(directory).put(bytes())
  await createLocalStore(directory).put(bytes())
  const hex = digest.slice('sha256:'.length)
  const files = await filesBelow(directory)
  expect(files).toEqual([path.join(directory, 'sha256', hex.slice(0, 2), hex.slice(2, 4), hex)])
  expect((await stat(files[0] ?? '')).mode & 0o077).toBe(0)
  expect(await createLocalStore(directory).stat(digest)).toEqual({ sizeBytes: 1 })
})

test('a disk that is full is said, and leaves nothing', async () => {
  const full = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x')
    throw Object.assign(new Error('write'), { code: 'ENOSPC' })
  }
  const directory = path.join(base, 'full')
  await expect(createLocalStore(directory).put(full())).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', message: expect.stringContaining('full') })
  expect(await filesBelow(directory)).toEqual([])
})
