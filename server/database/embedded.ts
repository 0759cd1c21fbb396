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
  /** Stops the server (fast shutdown: open transactions are rolled back) unless another process of this home uses it. */
  stop(): Promise<void>
  /** Resolves when the server has answered a check begun after this call; restarts the server if needed. */
  ensure(): Promise<void>
}

type Child = ReturnType<typeof start>

const role = 'switchyard'
const database = 'switchyard'
/** Long enough for crash recovery after a kill and for a stale lock to expire (about two seconds). */
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
 * The default database: Postgres below `home`, on a unix socket only, as a dedicated user, with a generated password.
 * Adopts a server that a killed control process left running; restarts a server that dies, until `stop`.
 * @throws AppError ERR_UNAVAILABLE with the last lines of the server's log
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

/** Lock that serializes creating, starting and stopping the server across processes. */
const lockName = 'database'
const usersDirectory = (home: string) => path.join(home, 'run', 'database-users')

/** Registers this process as a user of the server: processes with separate roles share it, and the last to stop ends it. */
async function registerUser(home: string): Promise<string> {
  await mkdir(usersDirectory(home), { recursive: true, mode: 0o700 })
  const file = path.join(usersDirectory(home), `${process.pid}-${randomBytes(4).toString('hex')}`)
  await writePidFile(file, process.pid)
  return file
}

/** Whether a live process uses the server; removes registrations of dead processes. */
async function hasUsers(home: string): Promise<boolean> {
  let alive = false
  for (const name of await readdir(usersDirectory(home))) {
    const file = path.join(usersDirectory(home), name)
    if (await readPidFile(file)) alive = true
    else await rm(file, { force: true })
  }
  return alive
}

/** Stops a server that a killed control process left running; a missing server is not an error. */
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

/** Process id of the cluster's running server, started or adopted; null: not running. */
async function runningPid(cluster: Pick<Cluster, 'data'>): Promise<number | null> {
  const content = await readFile(path.join(cluster.data, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(content.split('\n')[0])
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return null
  return (await worksIn(pid, cluster.data)) ? pid : null
}

/** Whether the process's working directory is `data`, as for Postgres: the pid in the file may have been reused by another process. */
async function worksIn(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') return true
  const directory = await readlink(`/proc/${pid}/cwd`).catch(() => null)
  return directory !== null && directory === (await realpath(data))
}

/** Removes a stale postmaster.pid: Postgres would refuse to start when another process of the same user has reused the pid. */
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
      // Own process group: Ctrl-C in the terminal must not stop the database before its clients.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...(user.drop ? { uid: user.uid, gid: user.gid } : {}),
    })
    child.unref()
    // A failed spawn is reported later as a server that does not answer, with the last lines of its log.
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

/** Serializes starts, restarts a server that dies, and lets `stop` override both. */
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
        // Backends of a killed server may hold its shared memory briefly: the new server then exits at once, and the next round retries.
        await removeForeignLock(cluster)
        child = await spawnServer(cluster)
      }
      // A backend that briefly outlives its killed server also answers: check that the server runs before and after the query.
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
    // A check in progress may have its answer from a server that has died since: wait for it, then check again.
    await starting
    starting ??= bringUp().finally(() => {
      starting = null
    })
    return starting
  }

  watch = setInterval(async () => {
    if (stopped || starting || (await runningPid(cluster)) !== null || stopped || starting) return
    onRestart?.('the embedded database ended; it is started again')
    // Only report the failure: the next round retries, and queries fail visibly meanwhile.
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
      // A starting server without a pid file yet: kill the child directly.
      if (child && (await runningPid(cluster)) !== child.pid && child.kill('SIGKILL')) await exited(child)
      await shutDown(cluster)
    },
  }
}

/** Fast shutdown, then immediate shutdown, then SIGKILL, each after a timeout. */
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
    // 42P04 (duplicate_database): another process of this installation created it first.
    if ((error as { code?: string }).code !== '42P04') throw error
  } finally {
    await client.end()
  }
}
