import type { CheckedCounters } from './reports'

/** Totals of one host since this process started. */
export interface HostTotals {
  projectId: string
  host: string
  requests: number
  statuses: number[]
  bytesIn: number
  bytesOut: number
  cacheHits: number
  durationMs: number
  latency: number[]
}

/**
 * Maximum hosts in a scrape. Every deployment has its own host, so old hosts are evicted; a host that returns starts at zero, which
 * Prometheus treats as a counter reset.
 */
const presetMaxHosts = 20_000

/** Counters for a scrape. They only grow and start at zero with this process, which Prometheus handles as a reset. */
export class TrafficTotals {
  readonly #hosts = new Map<string, HostTotals>()
  readonly #ejected = new Map<string, Set<string>>()
  readonly #maxHosts: number
  droppedLines = 0

  constructor(maxHosts = presetMaxHosts) {
    this.#maxHosts = maxHosts
  }

  add(counters: CheckedCounters): void {
    if (counters.projectId === null) return
    const key = `${counters.projectId} ${counters.host}`
    let totals = this.#hosts.get(key)
    if (totals) this.#hosts.delete(key)
    else {
      const [idle] = this.#hosts.keys()
      if (idle !== undefined && this.#hosts.size >= this.#maxHosts) this.#hosts.delete(idle)
      const { projectId, host } = counters
      totals = { projectId, host, requests: 0, statuses: [], bytesIn: 0, bytesOut: 0, cacheHits: 0, durationMs: 0, latency: [] }
    }
    // Reinsert at the end: the first entry of the map is the least recently used.
    this.#hosts.set(key, totals)
    totals.requests += counters.requests
    totals.durationMs += counters.durationMs
    totals.bytesIn += counters.bytesIn
    totals.bytesOut += counters.bytesOut
    totals.cacheHits += counters.cacheHits
    for (const [i, count] of counters.statuses.entries()) totals.statuses[i] = (totals.statuses[i] ?? 0) + count
    for (const [i, count] of counters.latency.entries()) totals.latency[i] = (totals.latency[i] ?? 0) + count
  }

  hostsOf(projectIds: ReadonlySet<string>): HostTotals[] {
    return [...this.#hosts.values()].filter(({ projectId }) => projectIds.has(projectId))
  }

  setEjected(worker: string, instanceId: string, ejected: boolean): void {
    const set = this.#ejected.get(worker) ?? new Set()
    if (ejected) set.add(instanceId)
    else set.delete(instanceId)
    this.#ejected.set(worker, set)
  }

  /** Number of connected routers in which each instance is ejected; reports of disconnected routers are ignored. */
  ejectedIn(workers: readonly string[]): Map<string, number> {
    const counts = new Map<string, number>()
    for (const name of [...this.#ejected.keys()]) if (!workers.includes(name)) this.#ejected.delete(name)
    for (const set of this.#ejected.values()) for (const id of set) counts.set(id, (counts.get(id) ?? 0) + 1)
    return counts
  }
}
