import { TLSSocket } from 'node:tls'
import { inSlices } from '@/shared/node/slices'
import type { TrustedProxies } from '@/shared/node/trusted-proxies'
import type { EngineLimits } from '../env'
import type { Gate } from '../gate/gate'
import type { RouterLog } from '../log'
import type { HostTable } from '../match/host-table'
import type { Observer } from '../observe/observer'
import type { Targets } from '../targets/targets'
import type { DrainOptions, DrainResult, Engine, EngineOptions, ListenAddress } from './engine'
import { type ClientAddress, directVisitor } from './headers/visitor'
import type { ClientHost } from './http1/connection'
import { ClientConnection } from './http1/connection'
import { H2Sessions, isPriorKnowledge } from './http2/sessions'
import { Clock } from './io/clock'
import type { Reader } from './listen/accept'
import { type ArrivedSocket, Listeners } from './listen/listeners'
import { Offenders } from './listen/offenders'
import { Tunnels } from './tunnels'
import { Pools } from './upstream/pool'

/** The fast engine: a strict parser works on bytes without allocating objects, and bytes are forwarded unchanged. */
export function createLeanEngine(options: EngineOptions): Engine {
  return new LeanEngine(options)
}

/** A client connection of any protocol. */
export interface OpenConnection {
  /** Called every tick. */
  watch(): void
  /** Closes the connection if it is idle. */
  endIdle(): void
  /** Number of requests and tunnels that closing the connection now would interrupt. */
  readonly openCount: number
  destroy(): void
}

const closeDeadlineMs = 1_000

class LeanEngine implements Engine, ClientHost {
  readonly name = 'lean'
  readonly gate: Gate
  readonly targets: Targets
  readonly observer: Observer
  readonly limits: EngineLimits
  readonly log: RouterLog
  readonly clock: Clock
  readonly pools: Pools
  readonly tunnels = new Tunnels()
  table: HostTable
  draining = false
  readonly #connections = new Set<OpenConnection>()
  readonly #trusts: TrustedProxies | null
  readonly #h2: H2Sessions
  readonly #listeners: Listeners
  #closeIdle = false
  /** Ends the current round of deadline checks. */
  #endRound: (() => void) | null = null
  /** Called whenever a client connection has ended. */
  readonly #ends = new Set<() => void>()

  constructor({ gate, targets, observer, limits, log, table, trusts = null }: EngineOptions) {
    this.#trusts = trusts
    this.gate = gate
    this.targets = targets
    this.observer = observer
    this.limits = limits
    this.log = log
    this.table = table
    this.clock = new Clock(() => this.#tick())
    this.pools = new Pools(this.clock)
    const offenders = new Offenders()
    this.#h2 = new H2Sessions(this, offenders)
    this.#listeners = new Listeners({
      log,
      clock: this.clock,
      offenders,
      headTimeoutMs: limits.clientHeadTimeoutMs,
      take: (arrived, address) => this.#take(arrived, address),
      oneLess: () => this.#oneLess(),
    })
  }

  listen(address: ListenAddress): Promise<{ host: string; port: number }> {
    return this.#listeners.listen(address)
  }

  #take({ socket, protocol }: ArrivedSocket, address: ClientAddress): Reader | null {
    const trusts = this.#trusts?.(address.ip) ? this.#trusts : null
    const servername = socket instanceof TLSSocket && typeof socket.servername === 'string' ? socket.servername.toLowerCase() : null
    const client = { address, visitor: directVisitor(address), trusts, servername }
    if (protocol === 'h2') {
      this.#h2.accept(socket, client)
      return null
    }
    const connection = new ClientConnection(this, socket, address, trusts)
    this.#connections.add(connection)
    const http1: Reader = (bytes, size) => connection.receive(bytes, size)
    // Clients may use HTTP/2 with prior knowledge (RFC 9113 §3.3): the first bytes show it.
    let read: Reader = (bytes, size) => {
      read = http1
      if (isPriorKnowledge(bytes, size)) {
        connection.leave()
        this.#connections.delete(connection)
        read = this.#h2.adopt(socket, client)
      }
      read(bytes, size)
    }
    return (bytes, size) => read(bytes, size)
  }

  closed(connection: object): void {
    this.#connections.delete(connection as OpenConnection)
    this.#oneLess()
  }

  apply(table: HostTable): void {
    this.table = table
    this.pools.keepOnly(table)
  }

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return this.targets.inFlight(instanceIds)
  }

  endTunnels(instanceIds: readonly string[]): Promise<number> {
    return this.tunnels.end(instanceIds)
  }

  #tick(): void {
    if (this.draining) this.#oneLess()
    // The previous round is not finished: with thousands of expired connections it may take longer than a tick.
    if (this.#endRound !== null) return
    this.#endRound = () => {}
    const end = inSlices(this.#round())
    if (this.#endRound !== null) this.#endRound = end
  }

  /** Checks every deadline, in steps: thousands of connections that expire together must not delay other requests. */
  *#round(): IterableIterator<void> {
    yield* this.pools.watch(this.limits)
    yield* this.#h2.tick()
    yield* this.#listeners.watch()
    for (const connection of this.#connections) {
      connection.watch()
      if (this.#closeIdle) connection.endIdle()
      yield
    }
    this.#endRound = null
  }

  async drain({ deadlineMs, idleGraceMs }: DrainOptions): Promise<DrainResult> {
    this.draining = true
    this.#listeners.stop()
    this.#h2.drain(idleGraceMs)
    const end = Date.now() + deadlineMs
    await this.#noConnections(Math.min(end, Date.now() + idleGraceMs))
    this.#closeIdle = true
    this.#listeners.closeEarly()
    for (const connection of this.#connections) connection.endIdle()
    await this.#noConnections(end)
    let cut = this.#h2.open
    for (const connection of this.#connections) cut += connection.openCount
    await this.tunnels.end(null)
    await this.close()
    return { cut }
  }

  /** Waits until no client connection is left, or until `end`. */
  #noConnections(end: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#ends.delete(look)
        resolve()
      }
      const timer = setTimeout(settle, Math.max(0, end - Date.now()))
      const look = () => {
        if (this.#connections.size === 0 && this.#h2.size === 0 && this.#listeners.early === 0) settle()
      }
      this.#ends.add(look)
      look()
    })
  }

  #oneLess(): void {
    for (const look of this.#ends) look()
  }

  async close(): Promise<void> {
    this.draining = true
    this.#listeners.stop()
    this.#listeners.closeEarly()
    for (const connection of this.#connections) connection.destroy()
    this.#h2.close()
    this.clock.stop()
    this.#endRound?.()
    // A cut connection is counted when its socket closes; the caller closes the observer next.
    await this.#noConnections(Date.now() + closeDeadlineMs)
    this.pools.close()
  }
}
