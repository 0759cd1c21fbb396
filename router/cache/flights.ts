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

/** Concurrent misses of one address become one request; the others wait, but never long. */
export class Flights {
  readonly #flights = new Map<string, Flight>()
  readonly #waitMs: number
  readonly #max: number

  constructor(options: { waitMs?: number; max?: number } = {}) {
    this.#waitMs = options.waitMs ?? 3_000
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

  /** What is on its way for these addresses is not to be stored. */
  voidAll(wanted: (uri: string) => boolean): void {
    for (const flight of this.#flights.values()) if (wanted(flight.uri)) flight.void = true
  }
}
