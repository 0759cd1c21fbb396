import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Pool } from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLocalStore } from '@/storage/local'
import { mountSmallDisk } from '@/test/support/small-disk'
import { createDisk, type Disk } from './disk'

const megabyte = 1024 ** 2

describe.skipIf(process.getuid?.() !== 0)('the disk of an installation', () => {
  let small: Awaited<ReturnType<typeof mountSmallDisk>>
  let disk: Disk
  let watch: { stop(): void }
  const reasons: boolean[] = []
  beforeAll(async () => {
    small = await mountSmallDisk(200)
    disk = createDisk({
      home: small.directory,
      pool: { query: async () => ({ rows: [] }) } as unknown as Pool,
      storage: createLocalStore(path.join(small.directory, 'storage')),
      builder: {
        evict: async (limits) => {
          reasons.push(await limits.isPressed())
          return [{ what: 'build cache', projectId: 'p', sizeBytes: 7 }]
        },
        usage: async () => [],
        engineDirectory: async () => [],
      },
      limits: { buildCacheBytes: 1, buildCacheDays: 1, engineCacheBytes: 1, uploadDays: 1, reserveBytes: 4 * megabyte },
      logger: pino({ level: 'silent' }),
    })
    watch = disk.start()
  })
  afterAll(async () => {
    watch.stop()
    await small.remove()
  })
  const reserve = async () => (await stat(path.join(small.directory, 'reserve')).catch(() => null))?.size ?? 0

  test('holds a reserve back, gives it up when full, tidies up, refuses what writes and says why; all of it ends with the cause', async () => {
    await expect.poll(reserve, { timeout: 10_000 }).toBe(4 * megabyte)
    await expect.poll(() => disk.health().ok, { timeout: 10_000 }).toBe(true)
    await disk.refuseWhenTight('The upload was not taken')
    await small.fill()
    await expect.poll(reserve, { timeout: 10_000 }).toBe(0)
    await expect.poll(() => reasons.includes(true), { timeout: 10_000 }).toBe(true)
    expect(disk.problem()).toContain(small.directory)
    expect(disk.health()).toMatchObject({ ok: false, detail: expect.stringContaining('full') })
    await expect(disk.refuseWhenTight('The upload was not taken')).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      message: 'The upload was not taken: the disk of this machine is full.',
    })
    await small.release()
    await expect.poll(reserve, { timeout: 10_000 }).toBe(4 * megabyte)
    expect(disk.problem()).toBeNull()
    const { freed, disks } = await disk.view()
    expect(disks).toMatchObject([{ directory: small.directory, low: false }])
    expect(freed[0]).toMatchObject({ what: 'build cache', projectId: 'p', sizeBytes: 7 })
  })
})
