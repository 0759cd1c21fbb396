import net from 'node:net'
import tls from 'node:tls'
import { inSlices } from '@/shared/node/slices'
import type { Target } from '@/shared/route-table'
import type { EngineLimits } from '../../env'
import type { OutsideTarget } from '../../gate/gate'
import type { HostTable } from '../../match/host-table'
import type { Clock } from '../io/clock'
import { nextReadBuffer } from '../io/load-gauge'
import { type ConnectionHome, UpstreamConnection } from './connection'
import { goneTargets, targetKey } from './gone-targets'

const maxIdle = 1024

type OnRead = (size: number, bytes: Buffer) => boolean

/** Connections to one address: idle ones are used again, the last used first, since it is the least likely to have been closed. */
export class Pool implements ConnectionHome {
  /** The address left the table: connections are no longer kept. */
  retired = false
  readonly #open: (onRead: OnRead) => net.Socket
  readonly #clock: Clock
  readonly #idle: UpstreamConnection[] = []
  readonly #all = new Set<UpstreamConnection>()

  constructor(open: (onRead: OnRead) => net.Socket, clock: Clock) {
    this.#open = open
    this.#clock = clock
  }

  /** A connection for one request; `fresh`: always a new one. */
  take(fresh: boolean): UpstreamConnection {
    if (!fresh)
      for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
        if (kept.usable) return kept
        kept.destroy()
      }
    const connection = new UpstreamConnection(this.#open, this, this.#clock)
    this.#all.add(connection)
    return connection
  }

  release(connection: UpstreamConnection): void {
    if (this.retired || this.#idle.length >= maxIdle) connection.destroy()
    else this.#idle.push(connection)
  }

  gone(connection: UpstreamConnection): void {
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
  }

  /** Closes idle connections now and busy ones after their answer. */
  retire(): void {
    this.retired = true
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  close(): void {
    this.retire()
    for (const connection of this.#all) connection.destroy()
  }

  *watch(limits: EngineLimits): IterableIterator<void> {
    for (const connection of this.#all) {
      connection.watch(limits.connectTimeoutMs, limits.upstreamIdleMs)
      yield
    }
  }

  get size(): number {
    return this.#all.size
  }
}

/** One pool for each target of the table, and for each address outside of it that is in use. */
export class Pools {
  readonly #clock: Clock
  readonly #byTarget = new WeakMap<Target, Pool>()
  readonly #targets = new Map<string, Pool>()
  readonly #outside = new Map<string, Pool>()
  /** Pools of removed targets that still have open requests. */
  readonly #leaving = new Set<Pool>()
  #endSweep: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(target: Target): Pool {
    const known = this.#byTarget.get(target)
    if (known !== undefined && !known.retired) return known
    const key = targetKey(target)
    let pool = this.#targets.get(key)
    if (!pool) {
      const { host, port } = target
      pool = new Pool(
        (callback) => net.connect({ host, port, noDelay: true, allowHalfOpen: true, onread: { buffer: nextReadBuffer, callback } }),
        this.#clock,
      )
      this.#targets.set(key, pool)
    }
    this.#byTarget.set(target, pool)
    return pool
  }

  outside({ scheme, address, port, hostname }: OutsideTarget): Pool {
    const key = `${scheme} ${address} ${port} ${hostname}`
    let pool = this.#outside.get(key)
    if (!pool) {
      const connect = { host: address, port, noDelay: true, allowHalfOpen: true }
      const open = (callback: OnRead): net.Socket => {
        const onread = { buffer: nextReadBuffer, callback }
        if (scheme === 'http') return net.connect({ ...connect, onread })
        const servername = net.isIP(hostname) === 0 ? hostname : undefined
        return tls.connect({ ...connect, servername, ALPNProtocols: ['http/1.1'], onread } as tls.ConnectionOptions)
      }
      pool = new Pool(open, this.#clock)
      this.#outside.set(key, pool)
    }
    return pool
  }

  /** Retires the pools of targets that `table` no longer contains; a large table is processed in slices. */
  keepOnly(table: HostTable): void {
    this.#endSweep()
    this.#endSweep = inSlices(this.#sweep(table))
  }

  *#sweep(table: HostTable): Generator<void, void> {
    for (const key of yield* goneTargets(table, this.#targets.keys())) {
      const pool = this.#targets.get(key)
      if (!pool) continue
      pool.retire()
      this.#targets.delete(key)
      this.#leaving.add(pool)
      yield
    }
  }

  /** Reports timeouts of silent connections, one connection per iteration. */
  *watch(limits: EngineLimits): IterableIterator<void> {
    for (const pool of this.#targets.values()) yield* pool.watch(limits)
    for (const [key, pool] of this.#outside) {
      yield* pool.watch(limits)
      if (pool.size === 0) this.#outside.delete(key)
    }
    for (const pool of this.#leaving) {
      yield* pool.watch(limits)
      if (pool.size === 0) this.#leaving.delete(pool)
    }
  }

  close(): void {
    this.#endSweep()
    for (const pools of [this.#targets.values(), this.#outside.values(), this.#leaving]) for (const pool of pools) pool.close()
  }
}
