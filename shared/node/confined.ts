import { access, constants } from 'node:fs/promises'
import { AppError } from '../errors'
import { baseEnv, exec } from './exec'

/** Limits of a tenant's command, applied before any process reads the first byte that the tenant chose. */
export interface Confinement {
  /** User of the command. null: our own user; the settings below then have no effect, because they need root. */
  user: { uid: number; gid: number } | null
  /** Directories of control groups that the command joins before it loses its privileges. */
  groups?: readonly string[]
  /** Arguments of prlimit. */
  rlimits?: readonly string[]
  /** null: the machine's shared `/tmp` and `/dev/shm`. */
  mounts?: PrivateMounts | null
}

/** A private mount namespace: read-only except for a bounded memory file system, which is freed with the last process that uses it. */
export interface PrivateMounts {
  /** Existing directory where the memory file system is mounted; `/tmp`, `/var/tmp` and `/dev/shm` are directories of it. */
  scratch: string
  scratchBytes: number
  /** Existing directories that stay writable, subject to their file permissions. */
  writable: readonly string[]
  /** Existing directories that are replaced by bounded memory file systems. */
  volatile: readonly { directory: string; sizeBytes: number }[]
  /** Parent of all of these directories: stays visible even if it lies below `/tmp`. */
  home: string
}

/**
 * Runs as root with a fixed environment. Arguments: uid, gid, `kind value…` items up to `--`, then the next command. Mount propagation is
 * "slave": the private view never blocks an unmount on the machine.
 */
const prepareScript = `set -eu
uid=$1 gid=$2; shift 2
own="nosuid,nodev,uid=$uid,gid=$gid"
private() {
  for place in /tmp /var/tmp; do
    [ -d "$place" ] || continue
    case "$home/" in "$place"/*)
      inner="$scratch/tmp\${home#"$place"}"
      [ -d "$inner" ] || { mkdir -p "$inner"; mount --rbind "$home" "$inner"; } ;;
    esac
  done
  for place in /tmp /var/tmp /run/lock; do [ ! -d "$place" ] || mount --rbind "$scratch/tmp" "$place"; done
  [ ! -d /dev/shm ] || mount --bind "$scratch/shm" /dev/shm
  [ ! -d /dev/mqueue ] || mount -t mqueue mqueue /dev/mqueue 2>/dev/null || :
  mount -o remount,bind,ro / 2>/dev/null || :
}
scratch=
while [ "$1" != -- ]; do
  case "$1" in
    group) echo 0 >"$2/cgroup.procs"; shift 2 ;;
    volatile) mount -t tmpfs -o "size=$3,nr_inodes=$(($3 / 4096 + 1024)),mode=0700,$own" switchyard "$2"; shift 3 ;;
    writable) mount --bind "$2" "$2"; shift 2 ;;
    scratch)
      scratch=$2 home=$4
      mount -t tmpfs -o "size=$3,nr_inodes=$(($3 / 4096 + 1024)),mode=0700,$own" switchyard "$2"
      mkdir -m 1777 "$2/tmp" "$2/shm"
      shift 4 ;;
  esac
done
shift
[ -z "$scratch" ] || private
exec "$@"
`

/**
 * Waits for the line `go`, so that records are written before the command runs. If the parent dies first, standard input ends and the script
 * exits.
 */
const gateScript = 'IFS= read -r word; [ "$word" = go ] || exit 70; exec "$@" </dev/null'

const variableName = /^[A-Za-z_][A-Za-z0-9_.-]*$/
const valueName = (index: number) => `SWITCHYARD_VALUE_${index}`

export interface ConfinedCommand {
  argv: readonly string[]
  cwd: string
  /** The complete environment of the command. */
  env: Readonly<Record<string, string>>
  /** Variables that the preparing processes have too: they identify the owner of each process. */
  mark?: Readonly<Record<string, string>>
  /** The command starts when it reads the line `go`, and then has an empty standard input. */
  gated: boolean
}

/**
 * Argument vector and environment that start `command` in `confinement`. Every preparing process sees the variables only as values of
 * `SWITCHYARD_VALUE_<n>`, which no loader, shell or runtime reads; the last, confined step renames them. Thus `LD_PRELOAD` and similar variables
 * affect only the command's own program, and no value appears on a command line.
 */
export function confine(command: ConfinedCommand, confinement: Confinement): { argv: [string, ...string[]]; env: Record<string, string> } {
  const variables = Object.entries(command.env)
  const bad = variables.find(([name]) => !variableName.test(name))
  if (bad) throw new AppError('ERR_INVALID_INPUT', `${JSON.stringify(bad[0].slice(0, 80))} is not a usable name of a variable`)
  const names = variables.map(([name], index) => `${name}=\${${valueName(index)}}`).join(' ')
  const handOver = ['/usr/bin/env', '-i', '-C', command.cwd, '-S', names, ...command.argv]
  const gate = command.gated ? ['/bin/sh', '-c', gateScript, 'switchyard', ...handOver] : handOver
  const rlimits = confinement.rlimits?.length ? ['/usr/bin/prlimit', ...confinement.rlimits, '--', ...gate] : gate
  const values = Object.fromEntries(variables.map(([, value], index) => [valueName(index), value]))
  return { argv: [...privileged(confinement), ...rlimits] as [string, ...string[]], env: { ...baseEnv, ...command.mark, ...values } }
}

function privileged({ user, groups = [], mounts }: Confinement): string[] {
  if (!user) return ['/usr/bin/setpriv', '--no-new-privs', '--']
  const items = [
    ...groups.flatMap((directory) => ['group', directory]),
    ...(mounts
      ? [
          ...mounts.writable.flatMap((directory) => ['writable', directory]),
          ...mounts.volatile.flatMap(({ directory, sizeBytes }) => ['volatile', directory, String(Math.floor(sizeBytes))]),
          'scratch',
          mounts.scratch,
          String(Math.floor(mounts.scratchBytes)),
          mounts.home,
        ]
      : []),
  ]
  return [
    ...(mounts ? ['/usr/bin/unshare', '--mount', '--ipc', '--propagation', 'slave', '--'] : []),
    ...['/bin/sh', '-c', prepareScript, 'switchyard', String(user.uid), String(user.gid), ...items, '--'],
    ...['/usr/bin/setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--no-new-privs', '--'],
  ]
}

/** @throws AppError ERR_UNAVAILABLE that names the missing tool. */
export async function assertConfinement(): Promise<void> {
  for (const tool of ['/usr/bin/env', '/usr/bin/setpriv', '/usr/bin/prlimit'])
    await access(tool, constants.X_OK).catch(() => {
      throw new AppError('ERR_UNAVAILABLE', `Apps and builds cannot be confined: ${tool} is missing`, {
        nextAction: 'Install util-linux and coreutils, then start again.',
      })
    })
}

/** Tries private mounts once. null: they work; otherwise the error of the kernel or the tool. */
export async function mountProblem(scratch: string, home: string): Promise<string | null> {
  const user = { uid: 65_534, gid: 65_534 }
  const { argv, env } = confine(
    { argv: ['/bin/sh', '-c', 'echo x >/tmp/probe && echo x >/dev/shm/probe'], cwd: '/', env: { PATH: baseEnv.PATH }, gated: false },
    { user, mounts: { scratch, scratchBytes: 1024 * 1024, writable: [], volatile: [], home } },
  )
  const result = await exec(argv, { env, deadlineMs: 10_000 }).catch((error: Error) => ({ code: 1, stderr: error.message }))
  return result.code === 0 ? null : (result.stderr.trim().split('\n')[0] ?? `code ${result.code}`)
}
