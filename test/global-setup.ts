import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { startThrowawayPostgres } from './support/postgres'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Once for all integration tests: a Postgres (TEST_DATABASE_URL, or a throwaway one) and in it one migrated template database,
 * which `createTestDatabase` clones for each test file. Workers inherit both through the environment.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL
  const server = given ? { url: given, stop: async () => {} } : await startThrowawayPostgres()
  const template = `switchyard_template_${randomBytes(4).toString('hex')}`
  const teardown = async () => {
    await query(server.url, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`)
    await server.stop()
  }
  try {
    await query(server.url, `CREATE DATABASE ${template}`)
    await migrate(server.url, template)
  } catch (error) {
    await teardown()
    throw error
  }
  process.env.TEST_DATABASE_URL = server.url
  process.env.TEST_DATABASE_TEMPLATE = template
  return teardown
}

/** By Prisma's own `migrate deploy`: what the platform applies itself at boot must find nothing left to do. */
async function migrate(serverUrl: string, database: string): Promise<void> {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  const env = { ...process.env, DATABASE_URL: url.href, CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' }
  await promisify(execFile)(process.execPath, [path.join(root, 'node_modules/prisma/build/index.js'), 'migrate', 'deploy'], {
    cwd: root,
    env,
    timeout: 120_000,
  })
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 30_000 })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
