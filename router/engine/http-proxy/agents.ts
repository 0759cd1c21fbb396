import http from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { inSlices } from '@/shared/node/slices'
import type { Target } from '@/shared/route-table'
import type { EngineLimits } from '../../env'
import type { OutsideTarget } from '../../gate/gate'
import type { HostTable } from '../../match/host-table'
import { ConnectTimeout } from '../upstream/faults'
import { goneTargets, targetKey } from '../upstream/gone-targets'

/** An agent with a connect timeout that keeps no connections after its target left the table. */
class UpstreamAgent extends http.Agent {
  retired = false
  readonly #connectTimeoutMs: number

  constructor(options: http.AgentOptions, connectTimeoutMs: number) {
    super(options)
    this.#connectTimeoutMs = connectTimeoutMs
  }

  override createConnection(options: http.ClientRequestArgs, callback?: (error: Error | null, stream: Duplex) => void): Duplex | null | undefined {
    // The agent's timeout applies to idle connections; while connecting, only the deadline below applies.
    const socket = super.createConnection({ ...options, timeout: 0 }, callback)
    return socket && withDeadline(socket, 'connect', this.#connectTimeoutMs)
  }

  override keepSocketAlive(socket: Duplex): boolean {
    return !this.retired && Boolean(super.keepSocketAlive(socket))
  }

  /** Closes idle connections now and busy ones when their request is done. */
  retire(): void {
    this.retired = true
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
  }
}

/** Like UpstreamAgent, over TLS to a host outside the table; the certificate is checked against the Host header's name. */
class SecureAgent extends https.Agent {
  readonly #connectTimeoutMs: number

  constructor(options: https.AgentOptions, connectTimeoutMs: number) {
    super(options)
    this.#connectTimeoutMs = connectTimeoutMs
  }

  override createConnection(options: https.RequestOptions, callback?: (error: Error | null, stream: Duplex) => void): Duplex | null | undefined {
    const socket = super.createConnection({ ...options, timeout: 0 }, callback)
    return socket && withDeadline(socket, 'secureConnect', this.#connectTimeoutMs)
  }
}

function withDeadline(socket: Duplex, opened: 'connect' | 'secureConnect', deadlineMs: number): Duplex {
  const timer = setTimeout(() => socket.destroy(new ConnectTimeout(`no connection within ${deadlineMs} ms`)), deadlineMs)
  const settle = () => clearTimeout(timer)
  socket.once(opened, settle)
  socket.once('close', settle)
  return socket
}

/** Target and connection pool of an attempt. */
export interface Destination {
  protocol: 'http:' | 'https:'
  host: string
  port: number
  agent: http.Agent
}

interface Pool<A extends http.Agent> {
  /** Agent with keep-alive. */
  kept: A
  /** Agent without keep-alive: for upgrades, and for the second attempt after a kept connection turned out closed. */
  fresh: A
}

/** Maximum pools kept for outside hosts, whose addresses change with DNS. */
const maxOutsidePools = 64

/** One pool of connections for each target of the table. */
export class Upstreams {
  readonly #pools = new Map<string, Pool<UpstreamAgent>>()
  readonly #outside = new Map<string, Pool<http.Agent>>()
  readonly #limits: EngineLimits
  #endSweep: () => void = () => {}

  constructor(limits: EngineLimits) {
    this.#limits = limits
  }

  of(target: Target, fresh: boolean): Destination {
    const pool = this.#poolOf(target)
    return { protocol: 'http:', host: target.host, port: target.port, agent: fresh ? pool.fresh : pool.kept }
  }

  #poolOf(target: Target): Pool<UpstreamAgent> {
    const key = targetKey(target)
    let pool = this.#pools.get(key)
    if (!pool) {
      const { connectTimeoutMs, upstreamIdleMs } = this.#limits
      pool = {
        // LIFO: the connection used last is the least likely to have been closed by the other side.
        kept: new UpstreamAgent({ keepAlive: true, maxFreeSockets: 1024, scheduling: 'lifo', timeout: upstreamIdleMs }, connectTimeoutMs),
        fresh: new UpstreamAgent({ keepAlive: false }, connectTimeoutMs),
      }
      this.#pools.set(key, pool)
    }
    return pool
  }

  outside(to: OutsideTarget, fresh = false): Destination {
    const { scheme, address, port, hostname } = to
    const key = `${scheme} ${address} ${port} ${hostname}`
    const pool = this.#outside.get(key) ?? this.#outsidePool(scheme)
    // Move to the end: the least recently used pool is evicted first.
    this.#outside.delete(key)
    this.#outside.set(key, pool)
    for (const [name, old] of this.#outside) {
      if (this.#outside.size <= maxOutsidePools) break
      this.#outside.delete(name)
      for (const sockets of Object.values(old.kept.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
    }
    return { protocol: `${scheme}:`, host: address, port, agent: fresh ? pool.fresh : pool.kept }
  }

  #outsidePool(scheme: 'http' | 'https'): Pool<http.Agent> {
    const { connectTimeoutMs, upstreamIdleMs } = this.#limits
    const Agent = scheme === 'https' ? SecureAgent : UpstreamAgent
    const kept = new Agent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo', timeout: upstreamIdleMs }, connectTimeoutMs)
    return { kept, fresh: new Agent({ keepAlive: false }, connectTimeoutMs) }
  }

  /** Retires the pools of targets that `table` no longer contains; a large table is processed in slices. */
  keepOnly(table: HostTable): void {
    this.#endSweep()
    this.#endSweep = inSlices(this.#sweep(table))
  }

  *#sweep(table: HostTable): Generator<void, void> {
    for (const key of yield* goneTargets(table, this.#pools.keys())) {
      this.#pools.get(key)?.kept.retire()
      this.#pools.delete(key)
      yield
    }
  }

  close(): void {
    this.#endSweep()
    for (const pool of [...this.#pools.values(), ...this.#outside.values()]) {
      pool.kept.destroy()
      pool.fresh.destroy()
    }
    this.#pools.clear()
    this.#outside.clear()
  }
}
