import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLocalStore } from '@/storage/local'
import { createDeploymentRow, createProject, openTestDatabase } from '@/test/support/factory'
import { removeOldUploads } from './uploads'

let db: Awaited<ReturnType<typeof openTestDatabase>>
let home: string
beforeAll(async () => {
  db = await openTestDatabase()
  home = await mkdtemp(path.join(tmpdir(), 'sy-uploads-'))
})
afterAll(async () => {
  await db.close()
  await rm(home, { recursive: true, force: true })
})

const dayMs = 86_400_000

test('an upload goes when it is old and nothing can be deployed from it again; the bytes stay while another team or a release has them', async () => {
  const storage = createLocalStore(home)
  const [one, two] = [await createProject(db.prisma), await createProject(db.prisma)]
  const upload = async (owner: typeof one, text: string, daysAgo: number) => {
    const { digest, sizeBytes } = await storage.put(
      (async function* () {
        yield Buffer.from(text)
      })(),
    )
    const { teamId } = owner
    await db.prisma.upload.create({ data: { teamId, digest, sizeBytes, createdAt: new Date(Date.now() - daysAgo * dayMs) } })
    return digest
  }
  const deployed = async (digest: string, daysAgo: number, status: 'FAILED' | 'ACTIVE' = 'FAILED') => {
    const { id } = await createDeploymentRow(db.prisma, one, { status })
    await db.prisma.deployment.update({
      where: { id },
      data: { source: { kind: 'archive', digest }, createdAt: new Date(Date.now() - daysAgo * dayMs) },
    })
  }
  const live = await upload(one, 'live since long', 90)
  await deployed(live, 90, 'ACTIVE')
  const overtaken = await upload(one, 'overtaken by ten others', 80)
  await deployed(overtaken, 80)
  const newest = await upload(one, 'of the newest deployments', 60)
  for (let index = 0; index < 10; index++) await deployed(newest, 50 - index)
  const unused = await upload(one, 'never deployed', 40)
  const young = await upload(one, 'uploaded just now', 0)
  const shared = await upload(one, 'the same bytes of two teams', 40)
  await upload(two, 'the same bytes of two teams', 1)

  const freed = await removeOldUploads({ pool: db.pool, storage }, 30 * dayMs)
  const sizes = 'overtaken by ten others'.length + 'never deployed'.length
  expect(freed).toEqual({ count: 2, sizeBytes: sizes })
  const there = async (digest: string) => (await storage.stat(digest)) !== null
  for (const digest of [live, newest, young, shared]) expect(await there(digest)).toBe(true)
  for (const digest of [overtaken, unused]) expect(await there(digest)).toBe(false)
  expect(await db.prisma.upload.count({ where: { digest: shared } })).toBe(1)
  expect(await removeOldUploads({ pool: db.pool, storage }, 30 * dayMs)).toEqual({ count: 0, sizeBytes: 0 })
})
