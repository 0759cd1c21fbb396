import http from 'node:http'
import type { Duplex } from 'node:stream'
import type { Target } from '@/shared/route-table'
import type { EngineLimits } from '../env'
import type { HostTable } from '../match/host-table'

/** The connection to an instance was not established in time. */
export class ConnectTimeout extends Error {
  readonly code = 'ECONNECTTIMEOUT'
}

/** The instance took the request and then said nothing for too long. */
export class UpstreamSilence extends Error {
  readonly code = 'EUPSTREAMSILENCE'
}

/** The instance answered 101 to a request that asked for nothing of the kind. */
export class UnaskedUpgrade extends Error {
  readonly code = 'HPE_UNASKED_UPGRADE'
}

/** An agent whose connections have a deadline to open, and which stops keeping any once its target left the table. */
class UpstreamAgent extends http.Agent {
  retired = false
  readonly #connectTimeoutMs: number

  constructor(options: http.AgentOptions, connectTimeoutMs: number) {
    super(options)
    this.#connectTimeoutMs = connectTimeoutMs
  }

  override createConnection(options: http.ClientRequestArgs, callback?: (error: Error | null, stream: Duplex) => void): Duplex | null | undefined {
    // The agent's own time-out is for idle connections; while it opens, the deadline below counts alone.
    const socket = super.createConnection({ ...options, timeout: 0 }, callback)
    if (!socket) return socket
    const late = () => socket.destroy(new ConnectTimeout(`no connection within ${this.#connectTimeoutMs} ms`))
    const timer = setTimeout(late, this.#connectTimeoutMs)
    const settle = () => clearTimeout(timer)
    socket.once('connect', settle)
    socket.once('close', settle)
    return socket
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

export interface Upstream {
  /** Keeps connections for the next request. */
  kept: http.Agent
  /** A connection of its own for each request: upgrades, and the second attempt after a kept one turned out closed. */
  fresh: http.Agent
}

interface PooledUpstream {
  kept: UpstreamAgent
  fresh: UpstreamAgent
}

const keyOf = (target: Target) => `${target.instanceId} ${target.host} ${target.port}`

/** One pool of connections for each target of the table. */
export class Upstreams {
  readonly #pools = new Map<string, PooledUpstream>()
  readonly #limits: EngineLimits

  constructor(limits: EngineLimits) {
    this.#limits = limits
  }

  of(target: Target): Upstream {
    const key = keyOf(target)
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

  /** Retires the pools of targets that `table` no longer names. */
  keepOnly(table: HostTable): void {
    if (this.#pools.size === 0) return
    const named = new Set<string>()
    for (const route of table.routes()) for (const target of route.targets) named.add(keyOf(target))
    for (const [key, pool] of this.#pools)
      if (!named.has(key)) {
        pool.kept.retire()
        this.#pools.delete(key)
      }
  }

  close(): void {
    for (const pool of this.#pools.values()) {
      pool.kept.destroy()
      pool.fresh.destroy()
    }
    this.#pools.clear()
  }
}

/** Why an attempt failed, in the words of the pages. */
export type UpstreamFault = 'refused' | 'reset' | 'connect-timeout' | 'answer-timeout' | 'bad-answer'

const neverConnected = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EADDRNOTAVAIL', 'ENETDOWN', 'EINVAL'])

/** Names the fault behind an error of an upstream request. */
export function faultOf(error: Error): UpstreamFault {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === 'ECONNECTTIMEOUT' || code === 'ETIMEDOUT') return 'connect-timeout'
  if (code === 'EUPSTREAMSILENCE') return 'answer-timeout'
  if (code.startsWith('HPE_')) return 'bad-answer'
  return neverConnected.has(code) ? 'refused' : 'reset'
}
