import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { AppError } from '@/shared/errors'

/** Advisory lock id of `prisma migrate`, so that the two wait for each other. */
const prismaMigrateLock = 72_707_369
const minimumServerVersion = 150_000

/** `prisma/migrations` of this checkout, found from the source file and from the bundle in `dist/` alike. */
export function migrationsDirectory(): string {
  for (let directory = path.dirname(fileURLToPath(import.meta.url)); ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, 'prisma', 'migrations')
    if (existsSync(candidate)) return candidate
    if (directory === path.dirname(directory)) throw new AppError('ERR_INTERNAL', 'prisma/migrations is missing from this installation')
  }
}

/**
 * `prisma migrate deploy` without Prisma's engine download: the same SQL files, the same `_prisma_migrations` rows, the same advisory lock.
 * Each file runs in a transaction of its own.
 * @returns the names applied now.
 * @throws AppError when the server is older than Postgres 15, a file was changed after it was applied, or a migration fails.
 */
export async function migrate(url: string, directory = migrationsDirectory()): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 300_000 })
  await client.connect()
  try {
    await requireVersion(client)
    await client.query('SELECT pg_advisory_lock($1)', [prismaMigrateLock])
    await client.query(`CREATE TABLE IF NOT EXISTS _prisma_migrations (
      id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL,
      logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`)
    const applied = await readApplied(client)
    const names: string[] = []
    for (const migration of await readMigrations(directory)) {
      const known = applied.get(migration.name)
      if (known === undefined) {
        await apply(client, migration)
        names.push(migration.name)
      } else if (known !== migration.checksum)
        throw new AppError('ERR_CONFLICT', `migration ${migration.name} was changed after it was applied to this database`, {
          nextAction: 'Restore the file as it was released, or start with an empty database.',
        })
    }
    return names
  } finally {
    await client.end()
  }
}

interface Migration {
  name: string
  sql: string
  checksum: string
}

async function requireVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num')
  const version = Number(rows[0]?.server_version_num)
  if (version < minimumServerVersion)
    throw new AppError('ERR_UNAVAILABLE', `the database server is Postgres ${Math.floor(version / 10_000)}, Switchyard needs 15 or newer`, {
      nextAction: 'Point DATABASE_URL at a newer server, or unset it to use the embedded one.',
    })
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(path.join(directory, name, 'migration.sql'), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

async function readApplied(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished_at: Date | null }>(
    'SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  )
  const unfinished = rows.find((row) => !row.finished_at)
  if (unfinished)
    throw new AppError('ERR_CONFLICT', `migration ${unfinished.migration_name} failed half-way in an earlier run`, {
      nextAction: `Repair the database, then run: npx prisma migrate resolve --applied ${unfinished.migration_name}`,
    })
  return new Map(rows.map((row) => [row.migration_name, row.checksum]))
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(sql)
    await client.query('INSERT INTO _prisma_migrations(id,checksum,migration_name,finished_at,applied_steps_count) VALUES($1,$2,$3,now(),1)', [
      randomUUID(),
      checksum,
      name,
    ])
    await client.query('COMMIT')
  } catch (cause) {
    // Report `cause`: on a lost connection the rollback fails too, with a less useful error.
    await client.query('ROLLBACK').catch(() => {})
    throw new AppError('ERR_INTERNAL', `migration ${name} failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
