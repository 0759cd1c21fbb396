import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mountSmallDisk } from '@/test/support/small-disk'
import { appWithBuild, recorder, requestFor, startBuilder, type TestBuilder } from './testing'

const never = new AbortController().signal
const megabyte = 1024 ** 2
const limits = { maxBytes: 1024 ** 4, maxAgeMs: 1e12, engineCacheBytes: 1024 ** 5, nodesInUse: [], isPressed: async () => false }

describe.skipIf(process.getuid?.() !== 0)('a disk that builds fill', () => {
  let disk: Awaited<ReturnType<typeof mountSmallDisk>>
  let made: TestBuilder
  beforeAll(async () => {
    disk = await mountSmallDisk(400)
    made = await startBuilder({ home: disk.directory, dockerSocket: null })
  })
  afterAll(() => disk.remove())
  const build = async (command: string) => {
    const asked = await requestFor(made, appWithBuild(command), { target: 'bundle' })
    const error = await made.builder.build(asked, recorder().events, never).then(
      () => null,
      (reason: unknown) => reason,
    )
    return { asked, error }
  }

  test('a build that is stopped for the disk gives back what it wrote, and the next build works', async () => {
    expect((await build('true')).error).toBeNull()
    const before = await disk.freeBytes()
    const { error, asked } = await build('cat /dev/zero > a-file-without-end')
    expect(error).toMatchObject({ message: expect.stringMatching(/disk/), details: { nextAction: expect.stringContaining('free') } })
    expect(await disk.freeBytes()).toBeGreaterThan(before - 8 * megabyte)
    // An empty mount point of the confinement may stay.
    const left = await readdir(path.join(disk.directory, 'builds', 'projects', asked.projectId, 'host-0'), { recursive: true, withFileTypes: true })
    expect(left.filter((entry) => !entry.isDirectory())).toEqual([])
    expect((await build('true')).error).toBeNull()
  })

  test('no build begins on a disk that is nearly full, and the answer names the disk', async () => {
    await disk.fill(5 * megabyte)
    const { error } = await build('true')
    expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE', message: expect.stringContaining('the disk of this machine is nearly full') })
    await disk.release()
    expect((await build('true')).error).toBeNull()
  })

  test('caches go by age and size, least recently used first, and under pressure until there is space', async () => {
    const cache = async (projectId: string, daysAgo: number) => {
      const lane = path.join(disk.directory, 'builds', 'projects', projectId, 'host-0')
      await mkdir(lane, { recursive: true })
      await writeFile(path.join(lane, 'content'), Buffer.alloc(10 * megabyte, 1))
      await writeFile(path.join(lane, 'state.json'), '{}')
      const at = new Date(Date.now() - daysAgo * 86_400_000)
      await utimes(path.join(lane, 'state.json'), at, at)
    }
    const left = async () => {
      const names = ['old', 'middle', 'new']
      const lanes = await Promise.all(names.map((name) => readdir(path.join(disk.directory, 'builds', 'projects', name)).catch(() => [])))
      return names.filter((_, index) => lanes[index]?.length)
    }
    await made.builder.evict({ ...limits, isPressed: async () => true })
    await cache('old', 40)
    await cache('middle', 20)
    await cache('new', 1)
    const byAge = await made.builder.evict({ ...limits, maxAgeMs: 30 * 86_400_000 })
    expect(byAge).toEqual([{ what: 'build cache', projectId: 'old', sizeBytes: expect.any(Number) }])
    expect(byAge[0]?.sizeBytes).toBeGreaterThanOrEqual(10 * megabyte)
    await made.builder.evict({ ...limits, maxBytes: 15 * megabyte })
    expect(await left()).toEqual(['new'])
    const pressed = await disk.freeBytes()
    await made.builder.evict({ ...limits, isPressed: async () => (await disk.freeBytes()) < pressed + 5 * megabyte })
    expect(await left()).toEqual([])
  })
})
