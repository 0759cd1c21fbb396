import { type FSWatcher, watch } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { isGoneNow, type ProcessIdentity } from './proc'

interface WatchPauses {
  /** Milliseconds between two checks of an instance that writes. */
  busyMs: number
  /** After this many milliseconds without output, the instance is no longer polled; the kernel reports its next write. */
  quietAfterMs: number
}
const presetPauses: WatchPauses = { busyMs: 100, quietAfterMs: 2_000 }
/** A full disk makes every check of every instance fail, so errors are logged at this interval. */
const reportErrorEveryMs = 10_000
/** Interval for checking adopted processes: the kernel reports the end of children only. */
const endingsMs = 5_000

interface Watched {
  directory: string
  /** null: a child of this process, whose end is reported as an event. */
  adopted: ProcessIdentity | null
  kernel: FSWatcher | null
  lastGrowth: number
  seen: number
  waiting: Set<() => void>
}

/**
 * Watches for output of instances with inotify: a hundred quiet instances cost nothing. An instance that writes is polled ten times a second
 * until it is quiet, which bounds the cost of a flood.
 */
export class OutputWatch {
  readonly #watched = new Map<string, Watched>()
  readonly #busy = new Set<string>()
  #round: NodeJS.Timeout | undefined
  readonly #endings: NodeJS.Timeout
  #reportedErrorAt = Number.NEGATIVE_INFINITY

  /** `look` records new output, and returns how often it has found output so far. */
  constructor(
    private readonly look: (instanceId: string) => Promise<number>,
    private readonly onError: (error: unknown) => void,
    private readonly pauses = presetPauses,
  ) {
    this.#endings = setInterval(() => this.#findEndings(), endingsMs).unref()
  }

  add(instanceId: string, directory: string, adopted: ProcessIdentity | null): void {
    if (this.#watched.has(instanceId)) return
    this.#watched.set(instanceId, { directory, adopted, kernel: null, lastGrowth: 0, seen: -1, waiting: new Set() })
    this.#wakeUp(instanceId)
  }

  remove(instanceId: string): void {
    const watched = this.#watched.get(instanceId)
    if (!watched) return
    watched.kernel?.close()
    this.#watched.delete(instanceId)
    this.#busy.delete(instanceId)
    resumeWaiting(watched)
  }

  /** Wakes readers that wait for output of the instance, because it may have ended. */
  ended(instanceId: string): void {
    const watched = this.#watched.get(instanceId)
    if (watched) resumeWaiting(watched)
  }

  /** Resolves when the instance has written or ended, is no longer watched, or `signal` is aborted. */
  async next(instanceId: string, signal: AbortSignal): Promise<void> {
    const watched = this.#watched.get(instanceId)
    if (!watched) return wait(this.pauses.busyMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const settle = () => {
        watched.waiting.delete(settle)
        signal.removeEventListener('abort', settle)
        resolve()
      }
      watched.waiting.add(settle)
      signal.addEventListener('abort', settle, { once: true })
    })
  }

  close(): void {
    clearInterval(this.#endings)
    clearTimeout(this.#round)
    for (const instanceId of [...this.#watched.keys()]) this.remove(instanceId)
  }

  #wakeUp(instanceId: string): void {
    const watched = this.#watched.get(instanceId)
    if (!watched || this.#busy.has(instanceId)) return
    // Close the inotify watch while polling: otherwise a flood would cause a callback for each write.
    watched.kernel?.close()
    watched.kernel = null
    watched.lastGrowth = performance.now()
    this.#busy.add(instanceId)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#busy.size > 0) this.#round ??= setTimeout(() => void this.#lookAtBusy(), this.pauses.busyMs).unref()
  }

  async #lookAtBusy(): Promise<void> {
    await Promise.all([...this.#busy].map((instanceId) => this.#lookAt(instanceId).catch((error) => this.#reportError(error))))
    this.#round = undefined
    this.#schedule()
  }

  #reportError(error: unknown): void {
    if (performance.now() - this.#reportedErrorAt < reportErrorEveryMs) return
    this.#reportedErrorAt = performance.now()
    this.onError(error)
  }

  async #lookAt(instanceId: string): Promise<void> {
    const watched = this.#watched.get(instanceId)
    if (!watched) return void this.#busy.delete(instanceId)
    if (await this.#hasGrown(instanceId, watched)) return
    if (performance.now() - watched.lastGrowth < this.pauses.quietAfterMs || !this.#listen(instanceId, watched)) return
    this.#busy.delete(instanceId)
    // Check again: output may have been written between the last check and the start of the watch.
    if (await this.#hasGrown(instanceId, watched)) this.#wakeUp(instanceId)
  }

  async #hasGrown(instanceId: string, watched: Watched): Promise<boolean> {
    const found = await this.look(instanceId)
    if (found === watched.seen) return false
    watched.seen = found
    watched.lastGrowth = performance.now()
    resumeWaiting(watched)
    return true
  }

  /** Starts an inotify watch. False: no watch is available or the file system does not support it, so polling continues. */
  #listen(instanceId: string, watched: Watched): boolean {
    if (this.#watched.get(instanceId) !== watched) return true
    try {
      watched.kernel = watch(watched.directory, { persistent: false }, () => this.#wakeUp(instanceId))
      watched.kernel.on('error', () => this.#wakeUp(instanceId))
      return true
    } catch {
      return false
    }
  }

  #findEndings(): void {
    for (const watched of this.#watched.values()) {
      if (watched.adopted === null || watched.waiting.size === 0 || !isGoneNow(watched.adopted)) continue
      watched.adopted = null
      resumeWaiting(watched)
    }
  }
}

function resumeWaiting({ waiting }: Watched): void {
  for (const settle of [...waiting]) settle()
}
