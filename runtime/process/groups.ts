import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { ResourceLimits } from '@/shared/release'
import { type Cgroup, type CgroupMounts, cgroupMounts, type V1Controller } from '../cgroup'
import { hasCode } from './layout'
import { signal } from './proc'

const periodUs = 100_000

/** Creates the control group `switchyard/<name>` with limits. null: not permitted; then only heap and rlimits apply. */
export async function createCgroup(name: string, limits: ResourceLimits, mounts?: CgroupMounts | null): Promise<Cgroup | null> {
  const at = mounts === undefined ? await cgroupMounts() : mounts
  if (!at) return null
  const relative = path.join('switchyard', name)
  try {
    return at.version === 1 ? await createV1(at.roots, relative, limits) : await createV2(at.root, relative, limits)
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EBUSY', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL')) return null
    throw error
  }
}

/** Not `recursive`: on kernel file systems that fail with ENOENT, Node's recursive mkdir never returns. */
async function makeDirectory(root: string, relative: string): Promise<void> {
  let at = root
  for (const part of relative.split(path.sep)) {
    at = path.join(at, part)
    await mkdir(at).catch((error) => {
      if (!hasCode(error, 'EEXIST')) throw error
    })
  }
}

async function createV1(roots: Partial<Record<V1Controller, string>>, relative: string, limits: ResourceLimits): Promise<Cgroup> {
  const directories: Partial<Record<V1Controller, string>> = {}
  for (const [controller, root] of Object.entries(roots) as [V1Controller, string][]) {
    directories[controller] = path.join(root, relative)
    await makeDirectory(root, relative)
  }
  const group: Cgroup = { version: 1, directories }
  try {
    const set = (controller: V1Controller, file: string, value: number) => {
      const directory = directories[controller]
      return directory ? writeFile(path.join(directory, file), String(value)) : Promise.resolve()
    }
    await set('memory', 'memory.limit_in_bytes', limits.memoryBytes)
    // Exists only if the kernel accounts swap. Must not be lower than the memory limit, so it is set afterwards.
    await set('memory', 'memory.memsw.limit_in_bytes', limits.memoryBytes).catch(() => {})
    await set('cpu', 'cpu.cfs_period_us', periodUs)
    await set('cpu', 'cpu.cfs_quota_us', Math.max(1_000, Math.round(limits.cpus * periodUs)))
    await set('pids', 'pids.max', limits.pids)
    return group
  } catch (error) {
    await removeCgroup(group)
    throw error
  }
}

async function createV2(root: string, relative: string, limits: ResourceLimits): Promise<Cgroup> {
  const directory = path.join(root, relative)
  await makeDirectory(root, relative)
  // A group has only the controllers that every ancestor enables.
  let ancestor = root
  for (const part of relative.split(path.sep)) {
    await writeFile(path.join(ancestor, 'cgroup.subtree_control'), '+memory +cpu +pids')
    ancestor = path.join(ancestor, part)
  }
  const set = (file: string, value: string) => writeFile(path.join(directory, file), value)
  await set('memory.max', String(limits.memoryBytes))
  await set('memory.swap.max', '0').catch(() => {})
  await set('cpu.max', `${Math.max(1_000, Math.round(limits.cpus * periodUs))} ${periodUs}`)
  await set('pids.max', String(limits.pids))
  return { version: 2, directory }
}

export const directoriesOf = (group: Cgroup): string[] => (group.version === 1 ? Object.values(group.directories) : [group.directory])

/** All processes of the group, in any session and with any parent. */
export async function membersOfCgroup(group: Cgroup): Promise<number[]> {
  const members = new Set<number>()
  for (const directory of directoriesOf(group)) {
    const text = await readFile(path.join(directory, 'cgroup.procs'), 'utf8').catch(() => '')
    for (const line of text.split('\n')) if (line) members.add(Number(line))
  }
  return [...members]
}

const freezer = (group: Cgroup) => (group.version === 1 ? group.directories.freezer : group.directory)

/** Returns false if the kernel has no freezer. */
export async function freezeCgroup(group: Cgroup, frozen: boolean): Promise<boolean> {
  const directory = freezer(group)
  if (!directory) return false
  if (group.version === 1) await writeFile(path.join(directory, 'freezer.state'), frozen ? 'FROZEN' : 'THAWED')
  else await writeFile(path.join(directory, 'cgroup.freeze'), frozen ? '1' : '0')
  return true
}

// Synchronous: the kernel serves the file from memory, and the thread pool would cost more than the read.
function readNow(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

export async function isCgroupFrozen(group: Cgroup): Promise<boolean> {
  const directory = freezer(group)
  if (!directory) return false
  const file = group.version === 1 ? 'freezer.state' : 'cgroup.freeze'
  const text = readNow(path.join(directory, file)).trim()
  return text === 'FROZEN' || text === 'FREEZING' || text === '1'
}

/** Kills all processes of the group. Freezes the group first, so that no process forks meanwhile. */
export async function killCgroup(group: Cgroup): Promise<void> {
  if (group.version === 2) {
    const killed = await writeFile(path.join(group.directory, 'cgroup.kill'), '1').then(
      () => true,
      () => false,
    )
    if (killed) return
  }
  await freezeCgroup(group, true).catch(() => {})
  for (const pid of await membersOfCgroup(group)) signal(pid, 'SIGKILL')
  await freezeCgroup(group, false).catch(() => {})
}

/** Removes the empty group. The shared parent stays: another start may be creating a group in it. */
export async function removeCgroup(group: Cgroup): Promise<void> {
  for (const directory of directoriesOf(group))
    await rmdir(directory).catch((error) => {
      if (!hasCode(error, 'ENOENT')) throw error
    })
}

/** Names of the groups of all instances on this machine, of any installation. */
export async function listCgroups(mounts?: CgroupMounts | null): Promise<string[]> {
  const parents = parentsOf(mounts === undefined ? await cgroupMounts() : mounts)
  const found = await Promise.all(parents.map((parent) => readdir(parent, { withFileTypes: true }).catch(() => [])))
  return [...new Set(found.flat().flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])))]
}

/** Removes a group by name, in each tree where it has no process. */
export async function removeEmptyCgroup(name: string, mounts?: CgroupMounts | null): Promise<void> {
  // EBUSY: the group has processes and stays.
  for (const parent of parentsOf(mounts === undefined ? await cgroupMounts() : mounts)) await rmdir(path.join(parent, name)).catch(() => {})
}

function parentsOf(mounts: CgroupMounts | null): string[] {
  if (!mounts) return []
  const roots = mounts.version === 1 ? Object.values(mounts.roots) : [mounts.root]
  return roots.map((root) => path.join(root, 'switchyard'))
}
