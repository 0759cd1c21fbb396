import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import pg from 'pg'
import { AppError } from '@/shared/errors'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { baseEnv, start } from '@/shared/node/exec'
import { growingPauses } from '@/shared/node/pauses'
import { readPidFile, writePidFile } from '../home'
import { withHomeLock } from '../home-lock'
import { binaries, clusterDirectory, initCluster, type ServerUser, serverUser, socketDirectory } from './postgres-home'

export interface EmbeddedPostgres {
  /** `postgresql://…?host=<socket directory>`; reachable only through the socket. */
  url: string
  /** Leaves the server; ends it (fast shutdown: open transactions are rolled back) unless another process of this home uses it. */
  stop(): Promise<void>
  /** Resolves when the server has answered a look begun after this call, after starting it again if it was gone. */
  ensure(): Promise<void>
}

type Child = ReturnType<typeof start>

const role = 'switchyard'
const database = 'switchyard'
/** Long enough for crash recovery after a kill and for a stale lock to fall (about two seconds). */
const startDeadlineMs = 60_000
const watchIntervalMs = 500
const maxLogBytes = 10 * 1024 * 1024

interface Cluster {
  native: string
  directory: string
  data: string
  socket: string
  user: ServerUser
  password: string
}

/**
 * The default database: a real Postgres below `home`, on a unix socket only, as a user of its own, with a generated password.
 * A server that a killed control process left running is adopted; one that dies is started again until `stop`.
 * @throws AppError ERR_UNAVAILABLE with the server's own last words.
 */
export async function startEmbeddedPostgres(options: { home: string; onRestart?: (reason: string) => void }): Promise<EmbeddedPostgres> {
  const { home } = options
  return withHomeLock(home, lockName, async () => {
    const cluster = await prepareCluster(home)
    const server = superviseServer(cluster, options.onRestart)
    await server.ensure()
    await createDatabase(cluster)
    const user = await registerUser(home)
    const stop = async () => {
      await server.stopWatching()
      await withHomeLock(home, lockName, async () => {
        await rm(user, { force: true })
        if (!(await hasUsers(home))) await server.shutDown()
      })
    }
    return { url: connectionUrl(cluster, database), stop, ensure: server.ensure }
  })
}

/** One process at a time creates, starts or ends the server. */
const lockName = 'database'
const usersDirectory = (home: string) => path.join(home, 'run', 'database-users')

/** Notes that this process uses the server: with split roles several do, and the last to leave ends it. */
async function registerUser(home: string): Promise<string> {
  await mkdir(usersDirectory(home), { recursive: true, mode: 0o700 })
  const file = path.join(usersDirectory(home), `${process.pid}-${randomBytes(4).toString('hex')}`)
  await writePidFile(file, process.pid)
  return file
}

/** Forgets processes that died without leaving. */
async function hasUsers(home: string): Promise<boolean> {
  let alive = false
  for (const name of await readdir(usersDirectory(home))) {
    const file = path.join(usersDirectory(home), name)
    if (await readPidFile(file)) alive = true
    else await rm(file, { force: true })
  }
  return alive
}

/** Ends a server that a killed control process left running. No server: no error. */
export async function stopEmbeddedPostgres(options: { home: string }): Promise<void> {
  const directory = await clusterDirectory(path.resolve(options.home), await serverUser())
  await shutDown({ data: path.join(directory, 'data') })
}

async function prepareCluster(home: string): Promise<Cluster> {
  const user = await serverUser()
  const directory = await clusterDirectory(path.resolve(home), user)
  const native = await binaries(directory, user)
  const socket = await socketDirectory(directory, user)
  const data = path.join(directory, 'data')
  const initialized = Boolean(await stat(path.join(data, 'PG_VERSION')).catch(() => null))
  const password = await readPassword(home, initialized)
  const cluster = { native, directory, data, socket, user, password }
  if (!initialized) await initCluster({ ...cluster, cluster: directory, role })
  return cluster
}

async function readPassword(home: string, initialized: boolean): Promise<string> {
  const secrets = path.join(home, 'secrets')
  const file = path.join(secrets, 'postgres.password')
  await mkdir(secrets, { recursive: true, mode: 0o700 })
  const known = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (known) return known.trim()
  if (initialized)
    throw new AppError('ERR_UNAVAILABLE', `${file} is missing, but there is a database already`, {
      nextAction: `Restore ${file} from your backup; nobody can open the database without it.`,
    })
  const password = randomBytes(32).toString('base64url')
  await writeFileAtomic(file, `${password}\n`)
  return password
}

function connectionUrl(cluster: Cluster, name: string): string {
  return `postgresql://${role}:${cluster.password}@localhost/${name}?host=${encodeURIComponent(cluster.socket)}`
}

/** Process id of the running server of this cluster, be it ours or one we found. */
async function runningPid(cluster: Pick<Cluster, 'data'>): Promise<number | null> {
  const content = await readFile(path.join(cluster.data, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(content.split('\n')[0])
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return null
  return (await worksIn(pid, cluster.data)) ? pid : null
}

/** The number in the file may have gone to another process since; Postgres works inside its data directory. */
async function worksIn(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') return true
  const directory = await readlink(`/proc/${pid}/cwd`).catch(() => null)
  return directory !== null && directory === (await realpath(data))
}

/** Postgres takes a stale lock for a live one when its number now belongs to another process of the same user. */
async function removeForeignLock(cluster: Cluster): Promise<void> {
  const file = path.join(cluster.data, 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
  if (pid > 1 && isAlive(pid) && !(await worksIn(pid, cluster.data))) await rm(file, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function spawnServer(cluster: Cluster): Promise<Child> {
  const logFile = path.join(cluster.directory, 'postgres.log')
  if (((await stat(logFile).catch(() => null))?.size ?? 0) > maxLogBytes) await rename(logFile, `${logFile}.1`)
  const log = await open(logFile, 'a', 0o600)
  try {
    const settings = [
      `unix_socket_directories=${cluster.socket}`,
      'unix_socket_permissions=0700',
      'listen_addresses=',
      'shared_buffers=64MB',
      'max_connections=100',
    ]
    const argv: [string, ...string[]] = [
      path.join(cluster.native, 'bin', 'postgres'),
      '-D',
      cluster.data,
      ...settings.flatMap((setting) => ['-c', setting]),
    ]
    const { user } = cluster
    const child = start(argv, {
      cwd: cluster.directory,
      env: { ...baseEnv } as unknown as NodeJS.ProcessEnv,
      // A group of its own: Ctrl-C in the terminal must not stop the database before its clients.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...(user.drop ? { uid: user.uid, gid: user.gid } : {}),
    })
    child.unref()
    // A spawn that failed shows as a server that never answers, with the log's last lines.
    child.on('error', () => {})
    return child
  } finally {
    await log.close()
  }
}

async function lastWords(cluster: Cluster): Promise<string> {
  const log = await readFile(path.join(cluster.directory, 'postgres.log'), 'utf8').catch(() => '')
  return log.trim().split('\n').slice(-5).join('\n')
}

async function answers(cluster: Cluster): Promise<boolean> {
  const client = new pg.Client({ connectionString: connectionUrl(cluster, 'postgres'), connectionTimeoutMillis: 3_000, query_timeout: 3_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch (error) {
    const code = (error as { code?: string }).code
    if (code === '28P01')
      throw new AppError('ERR_UNAVAILABLE', 'the embedded database does not accept the password in secrets/postgres.password', {
        cause: error,
        nextAction: 'Restore that file from your backup.',
      })
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function exited(child: Child): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) await pause(20)
}

/** One start at a time, a watch that starts it again, and a stop that wins over both. */
function superviseServer(cluster: Cluster, onRestart?: (reason: string) => void) {
  let stopped = false
  let starting: Promise<void> | null = null
  let child: Child | null = null
  let watch: NodeJS.Timeout | undefined

  async function bringUp(): Promise<void> {
    const deadline = Date.now() + startDeadlineMs
    const pauses = growingPauses({ firstMs: 50, longestMs: 1_000 })
    while (!stopped) {
      if ((await runningPid(cluster)) === null && (child === null || child.exitCode !== null || child.signalCode !== null)) {
        // Backends of a killed server may hold its shared memory for a moment: then it exits at once and the next round tries again.
        await removeForeignLock(cluster)
        child = await spawnServer(cluster)
      }
      // A backend that outlives its killed server for a moment answers too: the server must be there before and after.
      const pid = await runningPid(cluster)
      if ((await answers(cluster)) && pid !== null && (await runningPid(cluster)) === pid) return
      if (Date.now() > deadline)
        throw new AppError('ERR_UNAVAILABLE', `the embedded database does not start:\n${await lastWords(cluster)}`, {
          nextAction: `See ${cluster.directory}/postgres.log.`,
        })
      await pause(pauses.next())
    }
  }

  async function ensure(): Promise<void> {
    // What is under way may have had its answer already, from a server that has died since: it is awaited, and looked at again.
    await starting
    starting ??= bringUp().finally(() => {
      starting = null
    })
    return starting
  }

  watch = setInterval(async () => {
    if (stopped || starting || (await runningPid(cluster)) !== null || stopped || starting) return
    onRestart?.('the embedded database ended; it is started again')
    // Not lost: the next round of the watch tries again, and every query says so meanwhile.
    await ensure().catch((error: Error) => onRestart?.(error.message))
  }, watchIntervalMs)
  watch.unref()

  return {
    ensure,
    async stopWatching(): Promise<void> {
      stopped = true
      clearInterval(watch)
      await starting?.catch(() => {})
    },
    async shutDown(): Promise<void> {
      // One that has no lock yet cannot be found by it.
      if (child && (await runningPid(cluster)) !== child.pid && child.kill('SIGKILL')) await exited(child)
      await shutDown(cluster)
    },
  }
}

/** Fast shutdown, then immediate, then kill: each with its time. */
async function shutDown(cluster: Pick<Cluster, 'data'>): Promise<void> {
  for (const [signal, graceMs] of [
    ['SIGINT', 15_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    const pid = await runningPid(cluster)
    if (pid === null) return
    try {
      process.kill(pid, signal)
    } catch {
      return
    }
    for (const end = Date.now() + graceMs; Date.now() < end; await pause(20)) if ((await runningPid(cluster)) === null) return
  }
  throw new AppError('ERR_UNAVAILABLE', 'the embedded database does not stop')
}

async function createDatabase(cluster: Cluster): Promise<void> {
  const client = new pg.Client({ connectionString: connectionUrl(cluster, 'postgres'), connectionTimeoutMillis: 10_000, query_timeout: 30_000 })
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
    if (!rowCount) await client.query(`CREATE DATABASE ${database}`)
  } catch (error) {
    // 42P04: a second process of this installation was first.
    if ((error as { code?: string }).code !== '42P04') throw error
  } finally {
    await client.end()
  }
}
