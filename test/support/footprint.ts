import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { listCgroups } from '@/runtime/process/groups'
import type { RunningPlatform } from './platform'
import { openPlatformDatabase } from './platform-database'

/** What a platform holds of the machine: the same before and after a fault, or something was left behind. */
export interface Footprint {
  /** Open files of the supervisor, the control process and the routers. */
  descriptors: Record<'supervisor' | 'control' | 'router', number>
  /** Processes below it, apps included, Postgres excluded: its own number follows its connections. */
  processes: number
  /** Control groups of its apps. */
  groups: string[]
  /** Entries of directories that get one an instance, port or build. */
  directories: Record<string, number>
  connections: { all: number; listening: number }
}

const counted = ['instances', 'run', 'run/ports', 'run/users', 'builds', 'projects']

export async function footprintOf(platform: RunningPlatform): Promise<Footprint> {
  const database = await openPlatformDatabase(platform)
  const connections = await database.connections().finally(() => database.close())
  const pids = await platform.pids()
  const open = async (role: 'supervisor' | 'control' | 'router') =>
    (await Promise.all(pids[role].map((pid) => entries(`/proc/${pid}/fd`)))).reduce((sum, count) => sum + count, 0)
  const installation = (await readFile(path.join(platform.home, 'installation'), 'utf8')).trim()
  return {
    descriptors: { supervisor: await open('supervisor'), control: await open('control'), router: await open('router') },
    processes: platform.processes().filter((command) => !/^postgres[: ]|\/postgres /.test(command)).length,
    groups: (await listCgroups()).filter((name) => name.startsWith(`${installation}.`)),
    directories: Object.fromEntries(await Promise.all(counted.map(async (name) => [name, await entries(path.join(platform.home, name))] as const))),
    connections,
  }
}

const entries = (directory: string): Promise<number> =>
  readdir(directory).then(
    (names) => names.length,
    () => 0,
  )
