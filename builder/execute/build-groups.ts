import { watch } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRequest } from '@/builder/builder'

type Limits = BuildRequest['limits']

/** The engine's place for control groups of BuildKit steps. */
export interface GroupPlace {
  version: 1 | 2
  /** By controller; in version 2 all are the same directory. */
  directories: { memory: string; pids: string; cpu: string }
  /** Whether a directory belongs to a build step. */
  isStep(name: string): boolean
  /** True: the directories contain only build steps, so a common limit can be set for all of them. */
  own: boolean
}

/** Kernel counters of the steps of a build. */
export interface GroupEvidence {
  oomKills: number
  forksRefused: number
}

const period = 100_000
const lookEveryMs = 100
const unlimited = { 1: { memory: '-1', cpu: '-1' }, 2: { memory: 'max', cpu: `max ${period}` } } as const
/** Low priority: apps get the CPU before builds. */
const cpuShares = 256
const cpuWeight = 10

/** Derived from the engine's info; null: no control groups. */
export function groupPlace(info: { CgroupDriver?: string; CgroupVersion?: string }, root = '/sys/fs/cgroup'): GroupPlace | null {
  const version = info.CgroupVersion === '2' ? 2 : 1
  const systemd = info.CgroupDriver === 'systemd'
  if (!systemd && info.CgroupDriver !== 'cgroupfs') return null
  const below = systemd ? 'system.slice' : 'docker/buildkit'
  const at = (controller: string) => (version === 2 ? path.join(root, below) : path.join(root, controller, below))
  return {
    version,
    directories: { memory: at('memory'), pids: at('pids'), cpu: at('cpu') },
    // Container ids have 64 hex digits; names of BuildKit's steps have 25 letters and digits.
    isStep: systemd ? (name) => /^docker-[0-9a-z]{25}\.scope$/.test(name) : () => true,
    own: !systemd,
  }
}

/**
 * Limits BuildKit builds, because BuildKit itself has no limits: each step's control group is limited when it appears. If BuildKit has a common
 * group, that group gets the sum of all running builds' limits before they begin.
 */
export class BuildGroups {
  private readonly running = new Map<symbol, Limits>()
  private readonly seen = new Map<string, GroupEvidence>()
  private stopWatching: (() => void) | null = null

  constructor(private readonly place: GroupPlace) {}

  /** Starts limiting a build. @throws when the groups are not writable */
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
        // While two builds run, the owner of a step is unknown.
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

  /** Sets the common limit to the sum of all running builds. */
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

  /** Sets the widest limits of the running builds, because the owner of a step is unknown. */
  private async limitStep(name: string): Promise<void> {
    const { version, directories } = this.place
    const all = [...this.running.values()]
    if (all.length === 0) return
    const memory = String(Math.max(...all.map((each) => each.memoryBytes)))
    const quota = Math.round(Math.max(...all.map((each) => each.cpus)) * period)
    // The group may be gone, or lack a controller: set the other limits anyway.
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
