import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'

/** Identifies a process by its id and start time, because ids are reused. */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks since boot. */
  startTicks: number
  bootId: string
}

export interface ProcessStat {
  pid: number
  state: string
  parent: number
  group: number
  session: number
  /** CPU time of the process and of its ended children, in clock ticks. */
  ticks: number
  startTicks: number
  residentPages: number
}

/** USER_HZ, which is 100 on every Linux that Node supports. */
export const ticksPerSecond = 100
export const pageBytes = 4096

/** Parses /proc/<pid>/stat. The name in parentheses may contain spaces and parentheses, so fields start after the last one. */
export function parseStat(text: string): ProcessStat | null {
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  const pid = Number.parseInt(text, 10)
  const at = (field: number) => Number(fields[field - 3])
  if (end < 0 || Number.isNaN(pid) || fields.length < 22) return null
  return {
    pid,
    state: fields[0] ?? '?',
    parent: at(4),
    group: at(5),
    session: at(6),
    ticks: at(14) + at(15) + at(16) + at(17),
    startTicks: at(22),
    residentPages: at(24),
  }
}

/** null: no such process. */
export async function readStat(pid: number): Promise<ProcessStat | null> {
  return readFile(`/proc/${pid}/stat`, 'utf8').then(parseStat, () => null)
}

let boot: Promise<string> | undefined
export function bootId(): Promise<string> {
  boot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => 'unknown',
  )
  return boot
}

export async function identify(pid: number): Promise<ProcessIdentity | null> {
  const now = await readStat(pid)
  return now && { pid, startTicks: now.startTicks, bootId: await bootId() }
}

/** The state of exactly this process; null: it has ended (or is a zombie). */
export async function statOf(identity: ProcessIdentity): Promise<ProcessStat | null> {
  return identity.bootId === (await bootId()) ? livingStat(identity) : null
}

/** Whether a process has ended, if it was started since the last boot. */
export const isGoneNow = (identity: ProcessIdentity): boolean => livingStat(identity) === null

// Synchronous: the kernel serves the file from memory, and four uses of the thread pool would cost ten times as much.
function livingStat({ pid, startTicks }: ProcessIdentity): ProcessStat | null {
  let now: ProcessStat | null
  try {
    now = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return null
  }
  return now && now.startTicks === startTicks && now.state !== 'Z' && now.state !== 'X' ? now : null
}

export async function allProcesses(): Promise<ProcessStat[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const all = await Promise.all(names.map((name) => readStat(Number(name))))
  return all.filter((one) => one !== null)
}

/** User of a process; null: it has ended. Not the owner of `/proc/<pid>`, which is root for a process that forbids core dumps. */
export function ownerOfProcess(pid: number): Promise<number | null> {
  return readFile(`/proc/${pid}/status`, 'utf8').then(
    (text) => Number(/^Uid:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN),
    () => null,
  )
}

/** Name of the group of a process below `switchyard/`; null: none of our groups. */
export function groupNameOf(pid: number): Promise<string | null> {
  return readFile(`/proc/${pid}/cgroup`, 'utf8').then(
    (text) => /:\/(?:.*\/)?switchyard\/([^/\n]+)/.exec(text)?.[1] ?? null,
    () => null,
  )
}

/** Whether the initial environment of a process contains `marker`. Only for processes of `uid`, whose memory we may read. */
export async function environmentHolds(pid: number, uid: number, marker: string): Promise<boolean> {
  try {
    if ((await ownerOfProcess(pid)) !== uid) return false
    return `\0${await readFile(`/proc/${pid}/environ`, 'latin1')}`.includes(`\0${marker}\0`)
  } catch {
    return false
  }
}

/** Signals a process; false: it has ended. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}
