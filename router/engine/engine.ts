import type { TrustedProxies } from '@/shared/node/trusted-proxies'
import type { EngineLimits } from '../env'
import type { Gate } from '../gate/gate'
import type { RouterLog } from '../log'
import type { HostTable } from '../match/host-table'
import type { Observer } from '../observe/observer'
import type { Targets } from '../targets/targets'
import type { TlsTerminator } from '../tls/tls-terminator'

/** The services with the same decisions for every engine. Each gets a new table before the engine does. */
export interface EngineServices {
  gate: Gate
  targets: Targets
  observer: Observer
}

export interface EngineOptions extends EngineServices {
  limits: EngineLimits
  /** The initial table. */
  table: HostTable
  log: RouterLog
  /** Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; null or absent: none. */
  trusts?: TrustedProxies | null
}

export interface ListenAddress {
  /** IP literal; `::` listens on IPv4 and IPv6 where available. */
  host: string
  port: number
  /** Each worker opens its own listener on the same port, and the kernel distributes connections. */
  reusePort: boolean
  /** HTTPS: null or absent is plain HTTP. */
  tls?: TlsTerminator | null
  /** Every connection begins with a PROXY protocol header (v1 or v2) with the client's address. */
  proxyProtocol?: boolean
}

export interface DrainOptions {
  /** After this time open requests are cut; WebSockets get a close frame first. */
  deadlineMs: number
  /** How long idle keep-alive connections stay, so that a busy client gets `Connection: close` instead of a closed connection. */
  idleGraceMs: number
}

export interface DrainResult {
  /** Requests and upgraded connections cut at the deadline. */
  cut: number
}

/**
 * The data path of one worker: from a listening socket to instances and back. An engine owns its connections on both sides. It knows hosts
 * and targets only from the table. The tests in `contract.ts` define the required behavior.
 */
export interface Engine {
  readonly name: string
  /** Starts to accept connections; once per address. Resolves with the bound address (port 0 becomes the real one). */
  listen(address: ListenAddress): Promise<{ host: string; port: number }>
  /**
   * Replaces the table. After the call, every request whose head is read uses it; requests in progress finish on their instance. Idle
   * connections to removed targets are closed now, busy ones when they become idle.
   */
  apply(table: HostTable): void
  /** Number of open requests and upgraded connections per instance; 0 for unknown instances. */
  inFlight(instanceIds: readonly string[]): Record<string, number>
  /**
   * Asks the clients of WebSockets to these instances to reconnect (close code 1012). Resolves with their number when the connections have
   * closed, or after a grace period.
   */
  endTunnels(instanceIds: readonly string[]): Promise<number>
  /** Stops accepting, answers with `Connection: close`, finishes open requests. Resolves when no connection is left. */
  drain(options: DrainOptions): Promise<DrainResult>
  /** Closes all connections at once. */
  close(): Promise<void>
}

export type EngineFactory = (options: EngineOptions) => Engine
