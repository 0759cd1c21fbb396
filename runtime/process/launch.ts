import { access, chown, constants, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { baseEnv, exec, start } from '@/shared/node/exec'
import type { ResourceLimits } from '@/shared/release'
import type { Cgroup } from '../cgroup'
import { addToCgroup } from './groups'
import { isRoot } from './layout'
import { identify, type ProcessIdentity } from './proc'

/**
 * Waits for a word before it becomes the app, so that record, control group and limits are in place first. Should we die before,
 * its input ends and it goes away. A constant: what the user wrote comes as arguments, which no shell ever parses.
 */
const gate = 'IFS= read -r word; [ "$word" = go ] || exit 70; exec "$@" </dev/null'

/** Private address space of an idle Node 24: 580 MB, thread stacks for the most part. */
const nodeReservesBytes = 768 * 1024 * 1024

export interface Gated {
  child: ReturnType<typeof start>
  identity: ProcessIdentity
  /** Becomes the app. */
  open(): Promise<void>
}

export interface GateOptions {
  argv: string[]
  cwd: string
  env: Record<string, string>
  uid: number
  gid: number
  output: { stdout: number; stderr: number }
}

/** Starts the gate: leader of a new session, as the project's user without any other group. */
export async function startGated(options: GateOptions): Promise<Gated> {
  const child = start(['/bin/sh', '-c', gate, 'switchyard', ...(await withoutNewPrivileges()), ...options.argv], {
    cwd: options.cwd,
    env: options.env as NodeJS.ProcessEnv,
    // libuv drops the supplementary groups with them
    ...(isRoot() ? { uid: options.uid, gid: options.gid } : {}),
    detached: true,
    stdio: ['pipe', options.output.stdout, options.output.stderr],
  })
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  failed.catch(() => {})
  child.stdin?.on('error', () => {})
  const { pid } = child
  if (pid === undefined) return await failed
  child.unref()
  const identity = await identify(pid)
  if (!identity) throw new AppError('ERR_START', 'The process ended before it began')
  return {
    child,
    identity,
    open: () => new Promise((resolve) => child.stdin?.end('go\n', () => resolve())),
  }
}

/** As in containers: no setuid program on this machine lifts an app above its user. */
async function withoutNewPrivileges(): Promise<string[]> {
  const setpriv = '/usr/bin/setpriv'
  return access(setpriv, constants.X_OK).then(
    () => [setpriv, '--no-new-privs', '--'],
    () => [],
  )
}

/** Puts the gate under the instance's limits; everything it starts inherits them. */
export async function confine(pid: number, limits: ResourceLimits, cgroup: Cgroup | null): Promise<void> {
  if (cgroup) await addToCgroup(cgroup, pid)
  const rlimits = ['--core=0:0']
  if (!cgroup) {
    // Counted per user: without a user of its own the limit would count the whole desktop session.
    if (isRoot()) rlimits.push(`--nproc=${limits.pids}:${limits.pids}`)
    // Against a runaway native allocation; V8 stays below its limit by its heap. Coarse: what is set aside counts, not what is used.
    const data = limits.memoryBytes * 2 + nodeReservesBytes
    rlimits.push(`--data=${data}:${data}`)
  }
  const result = await exec(['prlimit', `--pid=${pid}`, ...rlimits], { env: { ...baseEnv }, deadlineMs: 5_000 }).catch(() => null)
  if (!cgroup && result?.code !== 0 && isRoot())
    throw new AppError('ERR_START', `The limits of the app could not be set: ${result?.stderr.trim() ?? 'prlimit is missing'}`, {
      nextAction: 'Install util-linux, which has prlimit.',
    })
}

/** HOME and TMPDIR of the app: its own, and nobody else's. */
export async function makeScratch(directory: string, uid: number, gid: number): Promise<void> {
  for (const made of [directory, path.join(directory, 'tmp')]) {
    await mkdir(made, { recursive: true, mode: 0o700 })
    if (isRoot()) await chown(made, uid, gid)
  }
}

/** Says before the start what a shell would only say in the log. @throws AppError ERR_START */
export async function assertCommand(argv: string[], cwd: string, searchPath: string): Promise<void> {
  const name = argv[0]
  if (!name) throw new AppError('ERR_START', 'The release has no start command', { nextAction: 'Set a start command in the project’s settings.' })
  const places = name.includes('/') ? [path.resolve(cwd, name)] : searchPath.split(':').map((directory) => path.join(directory, name))
  for (const place of places) {
    const runs = await access(place, constants.X_OK)
      .then(() => stat(place))
      .then(
        (found) => found.isFile(),
        () => false,
      )
    if (runs) return
  }
  throw new AppError('ERR_START', `The start command ${JSON.stringify(name)} was not found`, {
    nextAction: 'Check the start command in the project’s settings, and that its package is among the dependencies (not only devDependencies).',
  })
}
