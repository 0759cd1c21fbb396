import { randomBytes } from 'node:crypto'
import pg from 'pg'

export interface TestDatabase {
  url: string
  /** Disconnects whoever is left and removes it. */
  drop(): Promise<void>
}

/** A migrated, empty database of its own for one test file, cloned from the run's template in some 50 ms. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { TEST_DATABASE_URL: server, TEST_DATABASE_TEMPLATE: template } = process.env
  if (!server || !template) throw new Error('no test database: name the file *.int.test.ts and run it in the "integration" project')
  const name = `switchyard_test_${randomBytes(6).toString('hex')}`
  await admin(server, async (client) => {
    // Two clones of one template at a time are refused ("source database is being accessed by other users").
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [template])
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`)
  })
  const url = new URL(server)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => admin(server, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)) }
}

async function admin(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 60_000 })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
