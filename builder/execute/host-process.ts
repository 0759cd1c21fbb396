import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRequest } from '@/builder/builder'

type Limits = BuildRequest['limits']

/** Control group of a build: limits memory, processes and CPU, and lists its processes. */
export interface ControlGroup {
  directories: string[]
  memoryEvents: string[]
  pidsEvents: string[]
  remove(): Promise<void>
}

const cgroupRoot = '/sys/fs/cgroup'
const period = 100_000

/** Creates a control group; null: not permitted, so that only per-process limits apply. */
export async function createControlGroup(name: string, limits: Limits): Promise<ControlGroup | null> {
  const version2 = await readFile(`${cgroupRoot}/cgroup.controllers`, 'utf8').then(
    (text) => ['memory', 'pids'].every((controller) => text.includes(controller)),
    () => false,
  )
  try {
    return version2 ? await createV2(name, limits) : await createV1(name, limits)
  } catch {
    await Promise.all(groupDirectories(name, version2).map((directory) => rmdir(directory).catch(() => {})))
    return null
  }
}

function groupDirectories(name: string, version2: boolean): string[] {
  return version2
    ? [`${cgroupRoot}/switchyard/${name}`]
    : ['memory', 'pids', 'cpu'].map((controller) => `${cgroupRoot}/${controller}/switchyard/${name}`)
}

async function createV2(name: string, limits: Limits): Promise<ControlGroup> {
  const [directory] = groupDirectories(name, true) as [string]
  const parent = path.dirname(directory)
  await mkdir(parent, { recursive: true })
  for (const place of [cgroupRoot, parent]) await writeFile(`${place}/cgroup.subtree_control`, '+memory +pids +cpu')
  await mkdir(directory, { recursive: true })
  await writeFile(`${directory}/memory.max`, String(limits.memoryBytes))
  await writeFile(`${directory}/memory.swap.max`, '0').catch(() => {})
  await writeFile(`${directory}/pids.max`, String(limits.pids))
  await writeFile(`${directory}/cpu.max`, `${Math.round(limits.cpus * period)} ${period}`)
  return group([directory], [`${directory}/memory.events`], [`${directory}/pids.events`])
}

async function createV1(name: string, limits: Limits): Promise<ControlGroup> {
  const directories = groupDirectories(name, false)
  const [memory, pids, cpu] = directories as [string, string, string]
  for (const directory of directories) await mkdir(directory, { recursive: true })
  await writeFile(`${memory}/memory.limit_in_bytes`, String(limits.memoryBytes))
  // Exists only if the kernel accounts swap.
  await writeFile(`${memory}/memory.memsw.limit_in_bytes`, String(limits.memoryBytes)).catch(() => {})
  await writeFile(`${pids}/pids.max`, String(limits.pids))
  await writeFile(`${cpu}/cpu.cfs_period_us`, String(period))
  await writeFile(`${cpu}/cpu.cfs_quota_us`, String(Math.round(limits.cpus * period)))
  return group(directories, [`${memory}/memory.oom_control`], [`${pids}/pids.events`])
}

function group(directories: string[], memoryEvents: string[], pidsEvents: string[]): ControlGroup {
  return {
    directories,
    memoryEvents,
    pidsEvents,
    remove: () => removeGroups(directories),
  }
}

async function groupPids(directories: readonly string[]): Promise<number[]> {
  const found = new Set<number>()
  for (const directory of directories) {
    const text = await readFile(`${directory}/cgroup.procs`, 'utf8').catch(() => '')
    for (const line of text.split('\n')) if (line) found.add(Number(line))
  }
  return [...found]
}

async function removeGroups(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    // EBUSY shortly after the last process ended.
    for (let attempt = 0; attempt < 50; attempt++) {
      const error = await rmdir(directory).then(
        () => null,
        (reason: NodeJS.ErrnoException) => reason,
      )
      if (error === null || error.code === 'ENOENT') break
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** Record of a running build, for cleanup after a crash of the control process. */
export interface HostBuildRecord {
  pid: number
  /** Field 22 of /proc/<pid>/stat, because a pid may be reused. */
  startTime: string
  uid: number | null
  groups: string[]
  /** `NAME=value` in the environment of every process of the build, to find its processes without control groups. */
  mark: string
}

export async function processStartTime(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

/** Kills all processes of a build: its process group, its control group and its user. Repeats until no process is left. */
export async function killHostBuild(record: HostBuildRecord): Promise<void> {
  if ((await processStartTime(record.pid)) === record.startTime) signalQuietly(-record.pid)
  for (let round = 0; round < 100; round++) {
    const left = new Set([
      ...(await groupPids(record.groups)),
      ...(record.uid === null ? await pidsWithMark(record.mark) : await pidsOfUser(record.uid)),
    ])
    if (left.size === 0) break
    for (const pid of left) signalQuietly(pid)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await removeGroups(record.groups)
}

function signalQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // The process has ended.
  }
}

/** Processes with the mark in their environment. A build that clears its environment is still limited in all other ways. */
async function pidsWithMark(mark: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const environment = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '')
    if (environment.split('\0').includes(mark)) found.push(Number(name))
  }
  return found
}

/** Processes of this user; a uid belongs to one build at a time. Zombies do not count. */
async function pidsOfUser(uid: number): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '')
    if (new RegExp(`^Uid:\\s+${uid}\\s`, 'm').test(status) && !/^State:\s+[ZX]/m.test(status)) found.push(Number(name))
  }
  return found
}

export async function removeRecord(file: string): Promise<void> {
  await rm(file, { force: true })
}
