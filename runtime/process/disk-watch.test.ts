import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DiskUser, DiskWatch } from './disk-watch'

const mb = 1024 * 1024
let home: string
let watch: DiskWatch
let free = 1_000 * mb
let measured = 0
const exceeded: [string, number][] = []

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'sy-disk-watch-'))
  for (const name of ['a', 'b']) await mkdir(path.join(home, name))
  exceeded.length = 0
  measured = 0
  free = 1_000 * mb
  watch = new DiskWatch({
    home,
    everyMs: 60_000,
    freeBytes: async () => free,
    users: async () => {
      measured++
      return ['a', 'b', 'gone'].map((name): DiskUser => ({ instanceId: name, what: 'scratch', directory: path.join(home, name), limitBytes: 2 * mb }))
    },
    onExceeded: async ({ instanceId }, used) => void exceeded.push([instanceId, used]),
    onError: (error) => {
      throw error
    },
  })
})
afterEach(async () => {
  watch.close()
  await rm(home, { recursive: true })
})

test('the instance that writes more than it may is reported, its neighbour is not', async () => {
  await writeFile(path.join(home, 'a', 'large'), Buffer.alloc(3 * mb, 1))
  await writeFile(path.join(home, 'b', 'small'), Buffer.alloc(mb, 1))
  await watch.look()
  expect(exceeded.map(([instanceId]) => instanceId)).toEqual(['a'])
  expect(exceeded[0]?.[1]).toBeGreaterThanOrEqual(3 * mb)
})

test('nothing is measured until enough was written since the last time, however slowly', async () => {
  await watch.look()
  expect(measured).toBe(1)
  for (const step of [1, 3, 3]) {
    free -= step * mb
    await watch.look()
  }
  expect(measured).toBe(1)
  free -= mb
  await watch.look()
  expect(measured).toBe(2)
  // Space that was freed does not hide what is written afterwards.
  free += 500 * mb
  await watch.look()
  free -= 9 * mb
  await watch.look()
  expect(measured).toBe(3)
})
