import { watch } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRequest } from '@/builder/builder'

type Limits = BuildRequest['limits']

/** Where BuildKit of an engine puts the control groups of its steps. */
export interface GroupPlace {
  version: 1 | 2
  /** By controller; with version 2 they are one directory. */
  directories: { memory: string; pids: string; cpu: string }
  /** Whether a directory in there is of a build step. */
  isStep(name: string): boolean
  /** True where nothing but build steps is in these directories: then a limit for all of them together can be set, too. */
  own: boolean
}

/** What the kernel has noted about the steps of a build. */
export interface GroupEvidence {
  oomKills: number
  forksRefused: number
}

const period = 100_000
const lookEveryMs = 100
const unlimited = { 1: { memory: '-1', cpu: '-1' }, 2: { memory: 'max', cpu: `max ${period}` } } as const
/** Apps come first when builds and apps compete for the processor. */
const cpuShares = 256
const cpuWeight = 10

/** By what the engine says of itself; null where it has no control groups. */
export function groupPlace(info: { CgroupDriver?: string; CgroupVersion?: string }, root = '/sys/fs/cgroup'): GroupPlace | null {
  const version = info.CgroupVersion === '2' ? 2 : 1
  const systemd = info.CgroupDriver === 'systemd'
  if (!systemd && info.CgroupDriver !== 'cgroupfs') return null
  const below = systemd ? 'system.slice' : 'docker/buildkit'
  const at = (controller: string) => (version === 2 ? path.join(root, below) : path.join(root, controller, below))
  return {
    version,
    directories: { memory: at('memory'), pids: at('pids'), cpu: at('cpu') },
    // Containers have 64 hex digits there; BuildKit's names have 25 letters and digits.
    isStep: systemd ? (name) => /^docker-[0-9a-z]{25}\.scope$/.test(name) : () => true,
    own: !systemd,
  }
}

/**
 * Limits of builds by BuildKit, which takes none: every step's control group gets them as it appears, and where BuildKit has a group of
 * its own, that group gets the sum for the builds that run, before they begin.
 */
export class BuildGroups {
  private readonly running = new Map<symbol, Limits>()
  private readonly seen = new Map<string, GroupEvidence>()
  private stopWatching: (() => void) | null = null

  constructor(private readonly place: GroupPlace) {}

  /** @throws when the groups cannot be written */
  async begin(limits: Limits): Promise<{ evidence(): GroupEvidence; end(): Promise<void> }> {
    const { directories, own } = this.place
    const build = Symbol('build')
    this.running.set(build, limits)
    const before = this.total()
    let alone = this.running.size === 1
    try {
      if (own) for (const directory of new Set(Object.values(directories))) await mkdir(directory, { recursive: true })
      if (own) await this.limitAll()
      else await readdir(directories.memory)
      this.stopWatching ??= this.watch()
    } catch (error) {
      this.running.delete(build)
      throw error
    }
    return {
      evidence: () => {
        alone &&= this.running.size === 1
        const now = this.total()
        // Whose step it was is not known while two builds run.
        return alone
          ? { oomKills: now.oomKills - before.oomKills, forksRefused: now.forksRefused - before.forksRefused }
          : { oomKills: 0, forksRefused: 0 }
      },
      end: async () => {
        this.running.delete(build)
        if (own) await this.limitAll().catch(() => {})
        if (this.running.size > 0) return
        this.stopWatching?.()
        this.stopWatching = null
        this.seen.clear()
      },
    }
  }

  private total(): GroupEvidence {
    const all = [...this.seen.values()]
    return { oomKills: sum(all.map((each) => each.oomKills)), forksRefused: sum(all.map((each) => each.forksRefused)) }
  }

  /** Of the builds that run, together. */
  private async limitAll(): Promise<void> {
    const { version, directories } = this.place
    const all = [...this.running.values()]
    const none = all.length === 0
    const memory = none ? unlimited[version].memory : String(sum(all.map((each) => each.memoryBytes)))
    const pids = none ? 'max' : String(sum(all.map((each) => each.pids)))
    const quota = Math.round(sum(all.map((each) => each.cpus)) * period)
    if (version === 2) {
      await writeFile(path.join(path.dirname(path.dirname(directories.memory)), 'cgroup.subtree_control'), '+memory +pids +cpu')
      await writeFile(path.join(path.dirname(directories.memory), 'cgroup.subtree_control'), '+memory +pids +cpu')
      await writeFile(path.join(directories.memory, 'memory.max'), memory)
      await writeFile(path.join(directories.cpu, 'cpu.max'), none ? unlimited[2].cpu : `${quota} ${period}`)
      await writeFile(path.join(directories.cpu, 'cpu.weight'), String(cpuWeight))
    } else {
      await writeFile(path.join(directories.memory, 'memory.limit_in_bytes'), memory)
      await writeFile(path.join(directories.cpu, 'cpu.cfs_quota_us'), none ? unlimited[1].cpu : String(quota))
      await writeFile(path.join(directories.cpu, 'cpu.shares'), String(cpuShares))
    }
    await writeFile(path.join(directories.pids, 'pids.max'), pids)
  }

  private watch(): () => void {
    const look = () => void this.look().catch(() => {})
    const watcher = watch(this.place.directories.memory, look)
    watcher.on('error', () => {})
    const timer = setInterval(look, lookEveryMs)
    timer.unref()
    return () => {
      clearInterval(timer)
      watcher.close()
    }
  }

  private async look(): Promise<void> {
    const entries = await readdir(this.place.directories.memory, { withFileTypes: true })
    const steps = entries.filter((entry) => entry.isDirectory() && this.place.isStep(entry.name)).map((entry) => entry.name)
    await Promise.all(steps.map((name) => this.lookAt(name)))
  }

  private async lookAt(name: string): Promise<void> {
    const known = this.seen.has(name)
    if (!known) this.seen.set(name, { oomKills: 0, forksRefused: 0 })
    const { memory, pids } = this.place.directories
    const events = this.place.version === 2 ? 'memory.events' : 'memory.oom_control'
    if (!known) await this.limitStep(name)
    const oomKills = await readCount(path.join(memory, name, events), 'oom_kill')
    const forksRefused = await readCount(path.join(pids, name, 'pids.events'), 'max')
    const noted = this.seen.get(name)
    if (noted) this.seen.set(name, { oomKills: Math.max(oomKills, noted.oomKills), forksRefused: Math.max(forksRefused, noted.forksRefused) })
  }

  /** The widest limits of the builds that run: which of them the step is of is not known. */
  private async limitStep(name: string): Promise<void> {
    const { version, directories } = this.place
    const all = [...this.running.values()]
    if (all.length === 0) return
    const memory = String(Math.max(...all.map((each) => each.memoryBytes)))
    const quota = Math.round(Math.max(...all.map((each) => each.cpus)) * period)
    // Gone again by now, or without one of the controllers: the others hold.
    const write = (directory: string, file: string, value: string) => writeFile(path.join(directory, name, file), value).catch(() => {})
    await write(directories.pids, 'pids.max', String(Math.max(...all.map((each) => each.pids))))
    if (version === 2) {
      await write(directories.memory, 'memory.max', memory)
      await write(directories.memory, 'memory.swap.max', '0')
      await write(directories.cpu, 'cpu.max', `${quota} ${period}`)
      await write(directories.cpu, 'cpu.weight', String(cpuWeight))
    } else {
      await write(directories.memory, 'memory.limit_in_bytes', memory)
      await write(directories.memory, 'memory.memsw.limit_in_bytes', memory)
      await write(directories.cpu, 'cpu.cfs_quota_us', String(quota))
    }
  }
}

const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0)

async function readCount(file: string, key: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
}
