import type { RouteTable } from '@/shared/route-table'
import { HostTable } from './match/host-table'
import type { EngineLog } from './proxy/engine'
import { checkTable, supersedes } from './table/schema'
import type { SnapshotStore } from './table/snapshot'

const snapshotRetryMs = 5_000

export interface ServedTableOptions {
  /** Serves new requests by this table once it resolves. */
  apply: (hosts: HostTable) => Promise<void>
  snapshots: SnapshotStore
  /** What serves already, from disk. */
  current: RouteTable
  /** Whether this worker listens for HTTPS: without, no visitor may be sent there. */
  isSecure: () => boolean
  log: EngineLog
}

/** The table that serves and its copy on disk, changed together. */
export class ServedTable {
  readonly #options: ServedTableOptions
  #current: RouteTable
  #retry: NodeJS.Timeout | undefined
  /** One at a time: an older table must not be applied over a newer one. */
  #tail: Promise<void> = Promise.resolve()

  constructor(options: ServedTableOptions) {
    this.#options = options
    this.#current = options.current
  }

  get version(): number {
    return this.#current.version
  }

  /** Checks, applies, stores. @throws on a table that is invalid or older than the one that serves. */
  replace(input: unknown): Promise<void> {
    return this.#inTurn(() => this.#replace(input))
  }

  async #replace(input: unknown): Promise<void> {
    const { table, hosts } = checkTable(input)
    const current = this.#current
    if (!supersedes(table, current)) {
      if (table.version === current.version) return // sent again after a reconnection
      throw new Error(`version ${table.version} is older than version ${current.version}, which serves`)
    }
    await this.#options.apply(this.#reachable(table, hosts))
    this.#current = table
    this.#options.log.info({ version: table.version, routes: hosts.size }, 'new route table serves')
    await this.#store()
  }

  /** Applies the same table again: HTTPS is there now, or is not. */
  again(): Promise<void> {
    return this.#inTurn(() => this.#options.apply(this.#reachable(this.#current, new HostTable(this.#current))))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work)
    this.#tail = done.catch(() => {})
    return done
  }

  #reachable(table: RouteTable, hosts: HostTable): HostTable {
    if (hosts.httpsPort === null || this.#options.isSecure()) return hosts
    const { httpsPort: _, ...plain } = table
    return new HostTable(plain)
  }

  // A table that serves is acknowledged even when the disk is full; the copy is tried again until it is there.
  async #store(): Promise<void> {
    const { log, snapshots } = this.#options
    clearTimeout(this.#retry)
    try {
      await snapshots.save(this.#current)
    } catch (error) {
      log.error({ err: error, version: this.#current.version }, 'the route table could not be stored: a restart now would serve the one before')
      this.#retry = setTimeout(() => void this.#store(), snapshotRetryMs)
    }
  }

  stop(): void {
    clearTimeout(this.#retry)
  }
}
