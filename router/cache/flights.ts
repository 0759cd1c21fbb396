/** One request that fetches what others wait for. */
export interface Flight {
  readonly uri: string
  readonly at: number
  /** Purged or changed meanwhile: what it brings must not be stored. */
  void: boolean
  /** Resolves when it is known whether there is something stored now. */
  readonly landed: Promise<void>
  land(): void
}

/** Of the addresses that are remembered: visitors write them as long as they like. */
const maxPassesLength = 8_000_000

/** Concurrent misses of one address become one request; the others wait, but never long. */
export class Flights {
  readonly #flights = new Map<string, Flight>()
  /** Addresses whose answers turned out not to be storable: for a while nobody waits for them, and nobody looks at them. */
  readonly #passes = new Map<string, number>()
  #passesLength = 0
  readonly #waitMs: number
  readonly #passMs: number
  readonly #max: number

  constructor(options: { waitMs?: number; passMs?: number; max?: number } = {}) {
    this.#waitMs = options.waitMs ?? 3_000
    this.#passMs = options.passMs ?? 10_000
    this.#max = options.max ?? 10_000
  }

  get size(): number {
    return this.#flights.size
  }

  /** The flight to wait for. */
  under(uri: string, now: number): Flight | null {
    const flight = this.#flights.get(uri)
    return flight && now - flight.at < this.#waitMs ? flight : null
  }

  passes(uri: string, now: number): boolean {
    const until = this.#passes.get(uri)
    if (until === undefined) return false
    if (until > now) return true
    this.#passes.delete(uri)
    return false
  }

  /** This request goes; an older one that is still on its way no longer keeps anybody. */
  begin(uri: string, now: number): Flight {
    const { promise, resolve } = Promise.withResolvers<void>()
    const flight: Flight = {
      uri,
      at: now,
      void: false,
      landed: promise,
      land: () => {
        if (this.#flights.get(uri) === flight) this.#flights.delete(uri)
        resolve()
      },
    }
    if (this.#flights.size >= this.#max) this.#flights.clear()
    this.#flights.set(uri, flight)
    return flight
  }

  /** Resolves when the flight has landed, or after the bound. */
  async wait(flight: Flight, now: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, flight.at + this.#waitMs - now))
    })
    await Promise.race([flight.landed, late])
    clearTimeout(timer)
  }

  pass(uri: string, now: number): void {
    if (this.#passes.size >= this.#max || this.#passesLength + uri.length > maxPassesLength) {
      this.#passes.clear()
      this.#passesLength = 0
    }
    // What was removed one by one counts until then, too: the bound is kept all the same.
    if (!this.#passes.has(uri)) this.#passesLength += uri.length
    this.#passes.set(uri, now + this.#passMs)
  }

  stored(uri: string): void {
    this.#passes.delete(uri)
  }

  /** What is on its way for these addresses is not to be stored. */
  voidAll(wanted: (uri: string) => boolean): void {
    for (const flight of this.#flights.values()) if (wanted(flight.uri)) flight.void = true
  }
}
