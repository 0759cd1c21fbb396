import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '@/test/support/database'
import { type Database, openDatabase } from './client'
import { scopeTo } from './scope'

let server: TestDatabase
let database: Database
beforeAll(async () => {
  server = await createTestDatabase()
  database = openDatabase(server.url, { poolSize: 3 })
  for (const id of ['a', 'b']) {
    await database.prisma.team.create({ data: { id, name: id, slug: id, dataKey: new Uint8Array(1) } })
    await scopeTo(database.prisma, { teamId: id }).project.create({ data: { id: `p-${id}`, teamId: id, name: 'site', slug: `site-${id}` } })
  }
})
afterAll(async () => {
  await database.close()
  await server.drop()
})

it('a scoped client sees, counts, changes and deletes rows of its team only', async () => {
  const a = scopeTo(database.prisma, { teamId: 'a' })
  expect((await a.project.findMany()).map((row) => row.id)).toEqual(['p-a'])
  expect(await a.project.count()).toBe(1)
  expect(await a.project.findUnique({ where: { id: 'p-b' } })).toBeNull()
  expect(await a.project.findUnique({ where: { slug: 'site-b' } })).toBeNull()
  expect((await a.project.updateMany({ data: { branch: 'x' } })).count).toBe(1)
  await expect(a.project.update({ where: { id: 'p-b' }, data: { branch: 'x' } })).rejects.toThrow()
  await expect(a.project.delete({ where: { id: 'p-b' } })).rejects.toThrow()
  expect((await a.project.deleteMany({ where: { id: 'p-b' } })).count).toBe(0)
  expect(await database.prisma.project.findUnique({ where: { id: 'p-b' } })).toMatchObject({ branch: null })
})

it('transactions are bound too, and raw SQL is refused', async () => {
  const a = scopeTo(database.prisma, { teamId: 'a' })
  const seen = await a.$transaction(async (tx) => {
    await tx.job.create({ data: { kind: 'test', payload: {} } })
    return tx.project.findMany()
  })
  expect(seen.map((row) => row.id)).toEqual(['p-a'])
  await expect((async () => a.$queryRaw`SELECT 1`)()).rejects.toThrow('team scope')
  await expect(a.$transaction(async (tx) => tx.user.findMany())).rejects.toThrow('belongs to no team')
})
