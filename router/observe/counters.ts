import { latencyBoundsMs, type TrafficCounters } from '@/shared/link'
import type { LiveRoute } from '../match/host-table'
import type { FinishedRequest } from './observer'

// One array for all counters of a request: requests, statuses by first digit (0: none), bytes, cache hits, duration, histogram.
const statusAt = 1
const bytesInAt = 7
const bytesOutAt = 8
const cacheHitsAt = 9
const durationAt = 10
const latencyAt = 11
const bounds = Float64Array.from(latencyBoundsMs)
const length = latencyAt + bounds.length + 1

/** Counters of one target of a route, or of answers without a target. */
export class Counters {
  readonly instanceId: string | null
  readonly #values = new Float64Array(length)

  constructor(instanceId: string | null) {
    this.instanceId = instanceId
  }

  /** Adds a request; true: the first since `take`. */
  add(request: FinishedRequest): boolean {
    const values = this.#values
    const isFirst = values[0] === 0
    const { status, durationMs, cache } = request
    ;(values[0] as number)++
    ;(values[statusAt + (status >= 100 && status < 600 ? Math.floor(status / 100) : 0)] as number)++
    ;(values[bytesInAt] as number) += request.bytesIn
    ;(values[bytesOutAt] as number) += request.bytesOut
    if (cache === 'hit' || cache === 'stale' || cache === 'revalidated') (values[cacheHitsAt] as number)++
    ;(values[durationAt] as number) += durationMs
    let at = 0
    while (at < bounds.length && durationMs > (bounds[at] as number)) at++
    ;(values[latencyAt + at] as number)++
    return isFirst
  }

  /** Returns and resets the counters. */
  take(route: LiveRoute | null): TrafficCounters {
    const values = this.#values
    const taken: TrafficCounters = {
      projectId: route?.projectId ?? null,
      deploymentId: route?.deploymentId ?? null,
      host: route?.host ?? '',
      instanceId: this.instanceId,
      requests: values[0] as number,
      durationMs: values[durationAt] as number,
      statuses: Array.from(values.subarray(statusAt, bytesInAt)),
      bytesIn: values[bytesInAt] as number,
      bytesOut: values[bytesOutAt] as number,
      cacheHits: values[cacheHitsAt] as number,
      latency: Array.from(values.subarray(latencyAt)),
    }
    values.fill(0)
    return taken
  }
}

/** Adds the counters of `more` to `sum`; both belong to the same host, deployment and instance. */
export function mergeCounters(sum: TrafficCounters, more: TrafficCounters): void {
  sum.requests += more.requests
  sum.durationMs += more.durationMs
  sum.bytesIn += more.bytesIn
  sum.bytesOut += more.bytesOut
  sum.cacheHits += more.cacheHits
  for (const [i, count] of more.statuses.entries()) sum.statuses[i] = (sum.statuses[i] ?? 0) + count
  for (const [i, count] of more.latency.entries()) sum.latency[i] = (sum.latency[i] ?? 0) + count
}

const keyOf = (counters: TrafficCounters) => `${counters.host} ${counters.deploymentId ?? ''} ${counters.instanceId ?? ''}`

const minuteMs = 60_000
/** Maximum rows kept while the control plane is unreachable; beyond that the oldest minute is dropped. */
const maxKeptRows = 20_000
/** Rows per message: about 250 KiB of JSON. */
export const maxRowsOfReport = 500

/** Counters not reported yet, one bucket per minute. */
export class TrafficBacklog {
  readonly #minutes = new Map<number, Map<string, TrafficCounters>>()
  #rows = 0
  /** Rows dropped because of the limit. */
  lost = 0

  get isEmpty(): boolean {
    return this.#rows === 0
  }

  add(counters: TrafficCounters, now: number): void {
    const minute = Math.floor(now / minuteMs) * minuteMs
    let bucket = this.#minutes.get(minute)
    if (!bucket) {
      bucket = new Map()
      this.#minutes.set(minute, bucket)
    }
    const key = keyOf(counters)
    const known = bucket.get(key)
    if (known) {
      mergeCounters(known, counters)
      return
    }
    bucket.set(key, counters)
    this.#rows++
    while (this.#rows > maxKeptRows) this.#giveUpOldest()
  }

  /** Passes messages to `take` until it returns false; the remaining rows stay. */
  send(take: (from: number, to: number, counters: TrafficCounters[]) => boolean, now: number): void {
    for (const [minute, bucket] of this.#minutes) {
      while (bucket.size > 0) {
        const rows = [...bucket].slice(0, maxRowsOfReport)
        const counters = rows.map(([, row]) => row)
        if (!take(minute, Math.min(now, minute + minuteMs - 1), counters)) return
        for (const [key] of rows) bucket.delete(key)
        this.#rows -= rows.length
      }
      this.#minutes.delete(minute)
    }
  }

  #giveUpOldest(): void {
    const [oldest] = this.#minutes
    if (!oldest) return
    const [minute, bucket] = oldest
    // All rows belong to one minute: drop only the new row.
    const gone = this.#minutes.size > 1 ? bucket.size : 1
    if (this.#minutes.size > 1) this.#minutes.delete(minute)
    else bucket.delete([...bucket.keys()].at(-1) ?? '')
    this.#rows -= gone
    this.lost += gone
  }
}
