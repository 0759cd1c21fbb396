import { readdirSync } from 'node:fs'
import pg from 'pg'
import { expect, test } from 'vitest'
import { createTestDatabase } from './support/database'

const migrations = readdirSync(new URL('../prisma/migrations', import.meta.url), { withFileTypes: true }).filter((entry) => entry.isDirectory())

async function rows<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url, query_timeout: 10_000 })
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

test('every test database holds every migration, and what one writes the other does not see', async () => {
  const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()])
  try {
    const applied = await rows<{ migration_name: string }>(one.url, 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL')
    expect(applied.map((row) => row.migration_name).sort()).toEqual(migrations.map((entry) => entry.name).sort())
    await rows(one.url, `INSERT INTO "Setting" (key, value, "updatedAt") VALUES ('only-here', '1', now())`)
    expect(await rows(one.url, `SELECT key FROM "Setting"`)).toHaveLength(1)
    expect(await rows(two.url, `SELECT key FROM "Setting"`)).toHaveLength(0)
  } finally {
    await Promise.all([one.drop(), two.drop()])
  }
  await expect(rows(one.url, 'SELECT 1')).rejects.toThrow(/does not exist/)
})
