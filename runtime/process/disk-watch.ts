import { statfs } from 'node:fs/promises'
import { baseEnv, exec } from '@/shared/node/exec'

/** Bounds what instances write where no file system does: without root, or where nothing can be mounted. */

export interface DiskUser {
  instanceId: string
  /** `cache`: of the framework, which instances of one release share. */
  what: 'scratch' | 'cache'
  directory: string
  limitBytes: number
}

export interface DiskWatchOptions {
  /** A directory on the disk that the instances write to. */
  home: string
  users(): Promise<DiskUser[]>
  /** An instance has written more than it may. */
  onExceeded(user: DiskUser, usedBytes: number): Promise<void>
  onError(error: unknown): void
  everyMs?: number
  freeBytes?: (directory: string) => Promise<number>
}

const presetEveryMs = 5_000
/** Instances are measured only after the free space has shrunk by this much: an idle machine costs one system call per round. */
const worthMeasuringBytes = 8 * 1024 * 1024
const measureDeadlineMs = 30_000
/** Directories per `du`. */
const batch = 200

export class DiskWatch {
  readonly #options: DiskWatchOptions
  readonly #timer: NodeJS.Timeout
  /** Free space at the last measurement; null: never measured. */
  #measuredAt: number | null = null
  #looking = false

  constructor(options: DiskWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.look().catch(options.onError), options.everyMs ?? presetEveryMs).unref()
  }

  /** One round: measures when enough was written, and reports the instances that wrote too much. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      const free = await (this.#options.freeBytes ?? freeBytesOf)(this.#options.home)
      if (this.#measuredAt !== null && free > this.#measuredAt) this.#measuredAt = free
      if (this.#measuredAt !== null && this.#measuredAt - free < worthMeasuringBytes) return
      this.#measuredAt = free
      await this.#measure()
    } finally {
      this.#looking = false
    }
  }

  async #measure(): Promise<void> {
    const users = await this.#options.users()
    const sizes = await sizesOf(users.map(({ directory }) => directory))
    for (const user of users) {
      const used = sizes.get(user.directory) ?? 0
      if (used > user.limitBytes) await this.#options.onExceeded(user, used)
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** Bytes on disk below each directory; a missing directory has none. */
async function sizesOf(directories: readonly string[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  for (let at = 0; at < directories.length; at += batch) {
    const argv = ['du', '--summarize', '--block-size=1', '--', ...directories.slice(at, at + batch)] as const
    // Files that vanish meanwhile make the exit code 1; the sums are printed all the same.
    const { stdout } = await exec([...argv], { deadlineMs: measureDeadlineMs, env: { ...baseEnv } })
    for (const line of stdout.split('\n')) {
      const [, size, directory] = /^(\d+)\t(.*)$/.exec(line) ?? []
      if (size !== undefined && directory !== undefined) sizes.set(directory, Number(size))
    }
  }
  return sizes
}
