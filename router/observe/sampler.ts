import type { FinishedRequest } from './observer'

/** Log lines per second of this worker. */
export interface SampleRates {
  /** Status 500 or higher, and slow answers. */
  notable: number
  /** Other requests, per route. */
  perRoute: number
  /** Other requests, of all routes together. */
  rest: number
  /** For each project with a live view. */
  watched: number
  /** An answer is slow if its head takes longer. */
  slowMs: number
}

export const defaultSampleRates: SampleRates = { notable: 50, perRoute: 10, rest: 200, watched: 200, slowMs: 2_000 }

/** The lines that a route or a project may still log in this second. */
export class Allowance {
  #tick = -1
  #left = 0

  take(tick: number, perSecond: number): boolean {
    if (this.#tick !== tick) {
      this.#tick = tick
      this.#left = perSecond
    }
    if (this.#left <= 0) return false
    this.#left--
    return true
  }
}

/** Decides which requests are logged. `tick` advances the seconds, so that no request reads a clock. */
export class Sampler {
  readonly rates: SampleRates
  /** Notable and watched requests that exceeded the rate. */
  dropped = 0
  #tick = 0
  readonly #notable = new Allowance()
  readonly #rest = new Allowance()
  #watched = new Map<string, Allowance>()

  constructor(rates: SampleRates) {
    this.rates = rates
  }

  watch(projectIds: readonly string[]): void {
    this.#watched = new Map(projectIds.map((id) => [id, this.#watched.get(id) ?? new Allowance()]))
  }

  /** Call once per second. */
  tick(): void {
    this.#tick++
  }

  wants(request: FinishedRequest, route: Allowance): boolean {
    const { rates } = this
    const tick = this.#tick
    const projectId = request.route?.projectId
    const watched = this.#watched.size > 0 && projectId !== undefined ? this.#watched.get(projectId) : undefined
    if (watched?.take(tick, rates.watched)) return true
    const isNotable = request.status >= 500 || (request.upstreamMs !== null && request.upstreamMs >= rates.slowMs)
    if (isNotable && this.#notable.take(tick, rates.notable)) return true
    if (route.take(tick, rates.perRoute) && this.#rest.take(tick, rates.rest)) return true
    if (watched || isNotable) this.dropped++
    return false
  }
}
