import type { EngineLimits } from '../env'
import type { Gate } from '../gate/gate'
import type { RouterLog } from '../log'
import type { HostTable } from '../match/host-table'
import type { Observer } from '../observe/observer'
import type { Targets } from '../targets/targets'
import type { TlsEdge } from '../tls/tls-edge'

/** The services that decide the same way for every engine. Each gets a new table before the engine does. */
export interface EngineServices {
  gate: Gate
  targets: Targets
  observer: Observer
}

export interface EngineOptions extends EngineServices {
  limits: EngineLimits
  /** Served from the first request on. */
  table: HostTable
  log: RouterLog
}

export interface ListenAddress {
  /** IP literal; `::` means both families where the machine has them. */
  host: string
  port: number
  /** Every worker has a listener of its own on the same port, and the kernel spreads connections over them. */
  reusePort: boolean
  /** HTTPS: null or absent is plain HTTP. */
  tls?: TlsEdge | null
  /** Every connection begins with a PROXY protocol header (v1 or v2) with the client's address. */
  proxyProtocol?: boolean
}

export interface DrainOptions {
  /** Whatever is open after this is cut; WebSockets get a close frame first. */
  deadlineMs: number
  /** How long idle keep-alive connections stay, so that a busy client gets `Connection: close` instead of a closed connection. */
  idleGraceMs: number
}

export interface DrainResult {
  /** Requests and upgraded connections cut at the deadline. */
  cut: number
}

/**
 * The data path of one worker: from a listening socket to instances and back. An engine owns its connections on both sides; it knows
 * hosts and targets only from the table, and nothing about where tables come from. `contract.ts` says in tests what each must do.
 */
export interface Engine {
  readonly name: string
  /** Begins to accept; once for each address. Resolves with what was bound (port 0 becomes the real one). */
  listen(address: ListenAddress): Promise<{ host: string; port: number }>
  /**
   * Replaces the table. When this returns, every request whose head is read from now on is served by it; requests under way finish
   * where they are. Idle connections to targets that are gone are closed, busy ones once they are done.
   */
  apply(table: HostTable): void
  /** Requests and upgraded connections open towards each of these instances; 0 for unknown ones. */
  inFlight(instanceIds: readonly string[]): Record<string, number>
  /**
   * Tells the clients of WebSockets towards these instances to connect again (close code 1012). Resolves with their number when their
   * connections are over, or after a grace.
   */
  endTunnels(instanceIds: readonly string[]): Promise<number>
  /** Stops accepting, answers with `Connection: close`, lets what is open finish. Resolves when nothing is left. */
  drain(options: DrainOptions): Promise<DrainResult>
  /** Drops everything at once. */
  close(): Promise<void>
}

export type EngineFactory = (options: EngineOptions) => Engine
