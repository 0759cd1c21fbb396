import type { RouterLog } from './log'
import type { HostTable } from './match/host-table'
import type { BuiltTable } from './table/builder'
import type { TableCopy } from './table/copy'
import type { ArrivedTable } from './table/intake'
import { supersedes } from './table/schema'
import type { SnapshotStore } from './table/snapshot'

const snapshotRetryMs = 5_000

export interface ServedTableOptions {
  /** Resolves when new requests use this table. */
  apply: (hosts: HostTable) => Promise<void>
  snapshots: SnapshotStore
  /** The table loaded from disk, already in use. */
  current: BuiltTable
  /** Whether this worker listens for HTTPS; otherwise no visitor may be redirected to HTTPS. */
  isSecure: () => boolean
  log: RouterLog
}

/** The current table and its copy on disk, replaced together. */
export class ServedTable {
  readonly #options: ServedTableOptions
  #current: BuiltTable
  /** Copy of the current table until it is on disk. */
  #unsaved: TableCopy | null = null
  #retry: NodeJS.Timeout | undefined
  /** Serializes changes: an older table must not be applied over a newer one. */
  #tail: Promise<void> = Promise.resolve()

  constructor(options: ServedTableOptions) {
    this.#options = options
    this.#current = options.current
  }

  get version(): number {
    return this.#current.hosts.version
  }

  get current(): BuiltTable {
    return this.#current
  }

  /** Applies and stores a table. @throws for a table older than the current one. */
  replace(next: ArrivedTable): Promise<void> {
    return this.#inTurn(() => this.#replace(next))
  }

  async #replace({ head, content }: ArrivedTable): Promise<void> {
    if (content === null || !supersedes(head, this.#current.hosts)) {
      if (head.version === this.version) return // sent again after a reconnection
      throw new Error(`version ${head.version} is older than version ${this.version}, which serves`)
    }
    const { built, copy } = content
    await this.#options.apply(this.#reachable(built.hosts))
    this.#current = built
    this.#options.log.info({ version: head.version, routes: built.hosts.size }, 'new route table serves')
    this.#unsaved = copy
    await this.#store()
  }

  /** Applies the current table again after HTTPS became available or unavailable. */
  again(): Promise<void> {
    return this.#inTurn(() => this.#options.apply(this.#reachable(this.#current.hosts)))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work)
    this.#tail = done.catch(() => {})
    return done
  }

  #reachable(hosts: HostTable): HostTable {
    return hosts.httpsPort === null || this.#options.isSecure() ? hosts : hosts.withoutHttps()
  }

  // A table is acknowledged even if the disk is full; writing the copy is retried until it succeeds.
  async #store(): Promise<void> {
    const { log, snapshots } = this.#options
    clearTimeout(this.#retry)
    const copy = this.#unsaved
    if (copy === null) return
    try {
      await snapshots.save(copy)
      if (this.#unsaved === copy) this.#unsaved = null
    } catch (error) {
      log.error({ err: error, version: copy.version }, 'the route table could not be stored: a restart now would serve the one before')
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => void this.#store(), snapshotRetryMs)
    }
  }

  stop(): void {
    clearTimeout(this.#retry)
  }
}
