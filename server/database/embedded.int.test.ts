import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded'
import { migrate } from './migrate'

async function ask<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

const masterPid = async (home: string) => Number((await readFile(path.join(home, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n')[0])

/** Process ids of every Postgres that was started for this home, with or without its lock. */
async function serversOf(home: string): Promise<string[]> {
  const argv = (pid: string) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const mine = await Promise.all(pids.map(async (pid) => (await argv(pid)).includes(`-D\0${home}/`)))
  return pids.filter((_, index) => mine[index])
}

describe('the embedded Postgres', () => {
  let home: string
  let server: EmbeddedPostgres
  /** What else watches over the same server; left running, it would start it again while its directory is removed. */
  const others: EmbeddedPostgres[] = []
  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'sy-pg-'))
    server = await startEmbeddedPostgres({ home })
  })
  afterAll(async () => {
    await Promise.all([server, ...others].map((one) => one.stop()))
    await rm(home, { recursive: true, force: true })
  })

  it('is Postgres 18, reachable by its socket with the generated password only', async () => {
    const [row] = await ask<{ server_version_num: string }>(server.url, 'SHOW server_version_num')
    expect(Math.floor(Number(row?.server_version_num) / 10_000)).toBe(18)
    expect(await ask(server.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }])
    await expect(ask(server.url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow('password authentication failed')
  })

  it('keeps its directories closed to everybody but its own user', async () => {
    for (const directory of ['postgres', 'postgres/data', 'postgres/run']) {
      const info = await stat(path.join(home, directory))
      expect(info.mode & 0o077).toBe(0)
      if (process.getuid?.() === 0) expect(info.uid).not.toBe(0)
    }
    expect((await stat(path.join(home, 'secrets/postgres.password'))).mode & 0o777).toBe(0o600)
  })

  it('takes our migrations once, and again is no change', async () => {
    expect(await migrate(server.url)).toContain('20261121000000_init')
    expect(await migrate(server.url)).toEqual([])
  })

  it('is adopted, not started twice, when a killed control process left it running', async () => {
    const pid = await masterPid(home)
    const second = await startEmbeddedPostgres({ home })
    others.push(second)
    expect(second.url).toBe(server.url)
    expect(await masterPid(home)).toBe(pid)
  })

  it('is started again after kill -9, with every committed row', async () => {
    await ask(server.url, 'CREATE TABLE kept(id int)')
    await ask(server.url, 'INSERT INTO kept VALUES (7)')
    const pid = await masterPid(home)
    process.kill(pid, 'SIGKILL')
    await expect.poll(() => ask(server.url, 'SELECT id FROM kept').catch(() => null), { timeout: 30_000 }).toEqual([{ id: 7 }])
    expect(await masterPid(home)).not.toBe(pid)
  })

  it('ensure() resolves only when the server answers', async () => {
    process.kill(await masterPid(home), 'SIGKILL')
    await server.ensure()
    expect(await ask(server.url, 'SELECT id FROM kept')).toEqual([{ id: 7 }])
  })

  it('ensure() does not lean on what an earlier look saw before the server died', async () => {
    // A look takes some milliseconds: the server dies at each of its moments.
    for (let afterMs = 0; afterMs < 12; afterMs++) {
      const earlier = server.ensure()
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      process.kill(await masterPid(home), 'SIGKILL')
      await server.ensure()
      expect(await ask(server.url, 'SELECT id FROM kept')).toEqual([{ id: 7 }])
      await earlier
    }
  })
})

describe('stop()', () => {
  it('ends a server that had only just been started again', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'sy-pg-'))
    for (let afterMs = 0; afterMs < 40; afterMs += 10) {
      const server = await startEmbeddedPostgres({ home })
      process.kill(await masterPid(home), 'SIGKILL')
      const again = server.ensure().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      await server.stop()
      await again
      expect(await serversOf(home)).toEqual([])
    }
    await rm(home, { recursive: true, force: true })
  })
})

describe('several processes of one home', () => {
  it('make one database when all of them start at once, and the last to leave ends it', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'sy-pg-'))
    const servers = await Promise.all([1, 2, 3].map(() => startEmbeddedPostgres({ home })))
    expect(new Set(servers.map((server) => server.url)).size).toBe(1)
    const [first, second, last] = servers as [EmbeddedPostgres, EmbeddedPostgres, EmbeddedPostgres]
    // A process that was killed leaves its note behind; it keeps nothing running.
    await writeFile(path.join(home, 'run/database-users/1-dead'), JSON.stringify({ pid: 1, startTime: '0' }))
    await Promise.all([first.stop(), second.stop()])
    expect(await ask(last.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    await last.stop()
    expect(await serversOf(home)).toEqual([])
    await rm(home, { recursive: true, force: true })
  })
})

describe('awkward homes', () => {
  it('works below a path that is too long for a unix socket', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'sy-pg-'))
    await chmod(root, 0o755)
    const home = path.join(root, 'a'.repeat(60), 'b'.repeat(60))
    const server = await startEmbeddedPostgres({ home })
    try {
      expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    } finally {
      const socket = decodeURIComponent(new URL(server.url).searchParams.get('host') ?? '')
      expect((await stat(socket)).mode & 0o077).toBe(0)
      await server.stop()
      await rm(root, { recursive: true, force: true })
      await rm(socket, { recursive: true, force: true })
    }
  })

  it('works below a directory only root may enter', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'sy-pg-'))
    const home = path.join(root, 'home')
    await mkdir(home)
    const server = await startEmbeddedPostgres({ home })
    try {
      expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    } finally {
      await server.stop()
      const elsewhere = await readFile(path.join(home, 'postgres.path'), 'utf8').catch(() => null)
      if (elsewhere) await rm(elsewhere.trim(), { recursive: true, force: true })
      await rm(root, { recursive: true, force: true })
    }
  })
})
