import type { RouterLog } from './log'
import type { HostTable } from './match/host-table'
import type { BuiltTable } from './table/builder'
import type { TableCopy } from './table/copy'
import type { ArrivedTable } from './table/intake'
import { supersedes } from './table/schema'
import type { SnapshotStore } from './table/snapshot'

const snapshotRetryMs = 5_000

export interface ServedTableOptions {
  /** Serves new requests by this table once it resolves. */
  apply: (hosts: HostTable) => Promise<void>
  snapshots: SnapshotStore
  /** What serves already, from disk. */
  current: BuiltTable
  /** Whether this worker listens for HTTPS: without, no visitor may be sent there. */
  isSecure: () => boolean
  log: RouterLog
}

/** The table that serves and its copy on disk, changed together. */
export class ServedTable {
  readonly #options: ServedTableOptions
  #current: BuiltTable
  /** Of the table that serves, until it is on disk. */
  #unsaved: TableCopy | null = null
  #retry: NodeJS.Timeout | undefined
  /** One at a time: an older table must not be applied over a newer one. */
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

  /** Applies, stores. @throws on a table that is older than the one that serves. */
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

  /** Applies the same table again: HTTPS is there now, or is not. */
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

  // A table that serves is acknowledged even when the disk is full; the copy is tried again until it is there.
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
