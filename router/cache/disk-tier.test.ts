import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DiskTier } from './disk-tier'

let top: string
const own = String(process.pid)
beforeEach(async () => {
  top = await mkdtemp(path.join(tmpdir(), 'switchyard-tier-'))
})
afterEach(() => rm(top, { recursive: true, force: true }))

async function leftBehind(name: string, files: number): Promise<void> {
  await mkdir(path.join(top, name))
  await Promise.all(Array.from({ length: files }, (_, i) => writeFile(path.join(top, name, String(i)), 'x')))
}

test('what workers left that are gone, one of the same id too, is removed beside the start and not before it', async () => {
  await leftBehind('4194303', 500)
  await leftBehind(own, 500)
  await leftBehind('1', 1)
  const disk = new DiskTier(top)
  expect(await readdir(path.join(top, own))).toEqual([])
  expect((await readdir(top)).length).toBeGreaterThan(2)
  const file = await disk.put(Buffer.from('kept'))
  expect(file && String(await disk.get(file, 4))).toBe('kept')
  await expect.poll(() => readdir(top)).toEqual(['1', own].sort())
})
