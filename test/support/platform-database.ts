import { readFile } from 'node:fs/promises'
import path from 'node:path'
import pg from 'pg'
import { hashPassword } from '@/server/accounts/password'
import { clusterDirectory, serverUser, socketDirectory } from '@/server/database/postgres-home'
import { listenerName } from '@/server/events/listen-connection'
import { newId } from '@/shared/node/ids'
import { readDump } from './dump'
import type { RunningPlatform } from './platform'

/** Somebody who signs in. */
export interface Person {
  email: string
  password: string
}

/** The embedded database of a running platform: for what nobody can bring about by API. */
export interface PlatformDatabase {
  /** Stores rules of a project as a newer version, or somebody past the API, might have. */
  storeRules(slug: string, json: string): Promise<void>
  /** Somebody who joined the platform's first team. */
  addPerson(role: 'owner' | 'admin' | 'member'): Promise<Person>
  /** From now on no cutover can be recorded; what is returned makes it possible again. */
  refuseCutovers(): Promise<() => Promise<void>>
  /**
   * Holds the transaction that records the begin or the successful end of a step, so that a test can kill the writer right before or right
   * after the step's side effect. `release` ends the held transaction without a commit.
   */
  holdStep(name: string, at: 'begin' | 'end'): Promise<{ isHeld(): Promise<boolean>; release(): Promise<void> }>
  /** Every row of every table as text. */
  dump(): Promise<string>
  /** Connections of everybody else, and those of them that listen for changes. */
  connections(): Promise<{ all: number; listening: number }>
  close(): Promise<void>
}

/** Advisory lock that a held step waits for. */
const stepLock = 424_242

/** Number of the server's first process. */
export async function postgresPid({ home }: Pick<RunningPlatform, 'home'>): Promise<number> {
  const directory = await clusterDirectory(path.resolve(home), await serverUser())
  return Number((await readFile(path.join(directory, 'data/postmaster.pid'), 'utf8')).split('\n')[0])
}

/** Opens the database a platform keeps in its home. */
export async function openPlatformDatabase({ home }: Pick<RunningPlatform, 'home'>): Promise<PlatformDatabase> {
  const user = await serverUser()
  const client = new pg.Client({
    host: await socketDirectory(await clusterDirectory(path.resolve(home), user), user),
    user: 'switchyard',
    database: 'switchyard',
    password: (await readFile(path.join(home, 'secrets/postgres.password'), 'utf8')).trim(),
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  })
  await client.connect()
  return {
    dump: () => readDump(client),
    async storeRules(slug, json) {
      const { rowCount } = await client.query('UPDATE "Project" SET "edgePolicy" = $1::jsonb WHERE "slug" = $2', [json, slug])
      if (rowCount !== 1) throw new Error(`there is no project ${slug}`)
    },
    async addPerson(role) {
      const id = newId()
      const person = { email: `${role}-${id}@example.com`, password: `password of ${id}` }
      const values = [id, `The ${role}`, person.email, await hashPassword(person.password)]
      await client.query('INSERT INTO "User" ("id", "name", "email", "passwordHash") VALUES ($1, $2, $3, $4)', values)
      await client.query(
        'INSERT INTO "Membership" ("teamId", "userId", "role") SELECT "id", $1, $2::"Role" FROM "Team" ORDER BY "createdAt" LIMIT 1',
        [id, role.toUpperCase()],
      )
      return person
    },
    async refuseCutovers() {
      await client.query(
        `CREATE FUNCTION refuse_cutover() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$`,
      )
      await client.query(
        `CREATE TRIGGER refuse_cutover BEFORE UPDATE OF "liveReleaseId" ON "Environment" FOR EACH ROW EXECUTE FUNCTION refuse_cutover()`,
      )
      return async () => {
        await client.query('DROP TRIGGER refuse_cutover ON "Environment"')
        await client.query('DROP FUNCTION refuse_cutover()')
      }
    },
    async holdStep(name, at) {
      await client.query('SELECT pg_advisory_lock($1)', [stepLock])
      await client.query(
        `CREATE FUNCTION hold_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(${stepLock}); RETURN NEW; END $$`,
      )
      const event = at === 'begin' ? 'AFTER INSERT' : 'BEFORE UPDATE'
      const condition = at === 'begin' ? '' : `AND OLD."status" = 'running' AND NEW."status" = 'done'`
      await client.query(
        `CREATE TRIGGER hold_step ${event} ON "Step" FOR EACH ROW WHEN (NEW."name" = ${pg.escapeLiteral(name)} ${condition}) EXECUTE FUNCTION hold_step()`,
      )
      const waiting = `SELECT "pid" FROM pg_locks WHERE "locktype" = 'advisory' AND "objid" = ${stepLock} AND NOT "granted"`
      return {
        isHeld: async () => ((await client.query(waiting)).rowCount ?? 0) > 0,
        async release() {
          await client.query(`SELECT pg_terminate_backend("pid") FROM (${waiting}) w`)
          await client.query('DROP TRIGGER hold_step ON "Step"')
          await client.query('DROP FUNCTION hold_step()')
          await client.query('SELECT pg_advisory_unlock($1)', [stepLock])
        },
      }
    },
    async connections() {
      const { rows } = await client.query<{ all: number; listening: number }>(
        `SELECT count(*)::int AS "all", (count(*) FILTER (WHERE "application_name" = $1))::int AS "listening"
         FROM pg_stat_activity WHERE "datname" = current_database() AND "pid" <> pg_backend_pid()`,
        [listenerName],
      )
      return rows[0] ?? { all: 0, listening: 0 }
    },
    close: () => client.end(),
  }
}
