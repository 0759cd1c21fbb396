import { access, chown, constants, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { confine, type PrivateMounts } from '@/shared/node/confined'
import { start } from '@/shared/node/exec'
import type { ResourceLimits } from '@/shared/release'
import type { Cgroup } from '../cgroup'
import { directoriesOf } from './groups'
import { isRoot } from './layout'
import { instanceVariable } from './members'
import { identify, type ProcessIdentity } from './proc'

/** Address space that an idle Node 24 reserves: 580 MB, mostly thread stacks. */
const nodeReservesBytes = 768 * 1024 * 1024

export interface Gated {
  child: ReturnType<typeof start>
  identity: ProcessIdentity
  /** Lets the waiting process become the app. */
  open(): Promise<void>
}

export interface GateOptions {
  argv: string[]
  cwd: string
  env: Record<string, string>
  uid: number
  gid: number
  instanceId: string
  limits: ResourceLimits
  cgroup: Cgroup | null
  /** null: the machine's shared `/tmp` and `/dev/shm`. */
  mounts: PrivateMounts | null
  output: { stdout: number; stderr: number }
}

/**
 * Starts a waiting process: leader of a new session, in its control group, as the project's user without supplementary groups or new privileges.
 * It becomes the app only after a signal from us, so that its record exists first.
 */
export async function startGated(options: GateOptions): Promise<Gated> {
  const { argv, cwd, env, uid, gid, cgroup, mounts } = options
  const command = confine(
    { argv, cwd, env, gated: true, mark: { [instanceVariable]: options.instanceId } },
    {
      user: isRoot() ? { uid, gid } : null,
      groups: cgroup ? directoriesOf(cgroup) : [],
      rlimits: rlimitsOf(options.limits, cgroup),
      mounts,
    },
  )
  const child = start(command.argv, {
    cwd: '/',
    env: command.env as NodeJS.ProcessEnv,
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

/** rlimits, inherited by all processes of the app. */
function rlimitsOf(limits: ResourceLimits, cgroup: Cgroup | null): string[] {
  const rlimits = ['--core=0:0']
  if (cgroup) return rlimits
  // Counted per user: without a user per project it would count all processes of the desktop session.
  if (isRoot()) rlimits.push(`--nproc=${limits.pids}:${limits.pids}`)
  // Limits a runaway native allocation; the JavaScript heap is limited separately. Coarse, because reserved memory counts too.
  const data = limits.memoryBytes * 2 + nodeReservesBytes
  return [...rlimits, `--data=${data}:${data}`]
}

/** Creates a private HOME and TMPDIR for the app. */
export async function makeScratch(directory: string, uid: number, gid: number): Promise<void> {
  for (const made of [directory, path.join(directory, 'tmp')]) {
    await mkdir(made, { recursive: true, mode: 0o700 })
    if (isRoot()) await chown(made, uid, gid)
  }
}

/** Checks that the command exists before the start, because a shell would report it only in the log. @throws AppError ERR_START */
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
