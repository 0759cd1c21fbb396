import { access, constants } from 'node:fs/promises'
import { AppError } from '../errors'
import { baseEnv, exec } from './exec'

/** What a command of a tenant may use, put in place before the first byte that the tenant chose is read by a process. */
export interface Confinement {
  /** The user it runs as. null: ours; nothing below that needs root is done then. */
  user: { uid: number; gid: number } | null
  /** Directories of control groups it joins before it loses its rights. */
  groups?: readonly string[]
  /** Arguments for prlimit. */
  rlimits?: readonly string[]
  /** null: the machine's own `/tmp` and `/dev/shm`. */
  mounts?: PrivateMounts | null
}

/** A file system view of its own: everything is read-only but a bounded memory file system, which ends with the last process in it. */
export interface PrivateMounts {
  /** Existing directory; becomes the memory file system, of which `/tmp`, `/var/tmp` and `/dev/shm` are parts. */
  scratch: string
  scratchBytes: number
  /** Existing directories that stay writable, for whom their owners allow. */
  writable: readonly string[]
  /** Existing directories that become bounded memory file systems of their own. */
  volatile: readonly { directory: string; sizeBytes: number }[]
  /** Above all of these: stays visible, should it lie below `/tmp`. */
  home: string
}

/**
 * Runs as root with an environment of ours. Arguments: uid, gid, then `kind value…` items up to `--`, then what to become.
 * Mounts of the machine go on reaching the view (slave), so an unmount outside is not held up by it.
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

/** Waits for a word, so that records are written before the command runs. When we die first, its input ends and it goes away. */
const gateScript = 'IFS= read -r word; [ "$word" = go ] || exit 70; exec "$@" </dev/null'

const variableName = /^[A-Za-z_][A-Za-z0-9_.-]*$/
const valueName = (index: number) => `SWITCHYARD_VALUE_${index}`

export interface ConfinedCommand {
  argv: readonly string[]
  cwd: string
  /** The whole environment of the command. */
  env: Readonly<Record<string, string>>
  /** Variables of ours that the processes before the command have too: they mark whose they are. */
  mark?: Readonly<Record<string, string>>
  /** True: the command begins when it reads the line `go`, and its standard input is empty. */
  gated: boolean
}

/**
 * Argument vector and environment that start `command` in `confinement`. Every process on the way sees its variables only as values of
 * `SWITCHYARD_VALUE_<n>`, which no loader, shell or runtime reads; the last step, confined already, gives them their names. So `LD_PRELOAD`
 * and its like are first read by the command's own program, and no value appears on a command line.
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

/** @throws AppError ERR_UNAVAILABLE naming a tool that this machine lacks. */
export async function assertConfinement(): Promise<void> {
  for (const tool of ['/usr/bin/env', '/usr/bin/setpriv', '/usr/bin/prlimit'])
    await access(tool, constants.X_OK).catch(() => {
      throw new AppError('ERR_UNAVAILABLE', `Apps and builds cannot be confined: ${tool} is missing`, {
        nextAction: 'Install util-linux and coreutils, then start again.',
      })
    })
}

/** Null where private mounts work, else what the kernel or a tool said. Tried once, on the real thing. */
export async function mountProblem(scratch: string, home: string): Promise<string | null> {
  const user = { uid: 65_534, gid: 65_534 }
  const { argv, env } = confine(
    { argv: ['/bin/sh', '-c', 'echo x >/tmp/probe && echo x >/dev/shm/probe'], cwd: '/', env: { PATH: baseEnv.PATH }, gated: false },
    { user, mounts: { scratch, scratchBytes: 1024 * 1024, writable: [], volatile: [], home } },
  )
  const result = await exec(argv, { env, deadlineMs: 10_000 }).catch((error: Error) => ({ code: 1, stderr: error.message }))
  return result.code === 0 ? null : (result.stderr.trim().split('\n')[0] ?? `code ${result.code}`)
}
