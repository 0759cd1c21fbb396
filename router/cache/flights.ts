/** One request that fetches what others wait for. */
export interface Flight {
  readonly uri: string
  readonly at: number
  /** Purged or changed meanwhile: what it brings must not be stored. */
  void: boolean
  /** Resolves when it is known whether there is something stored now. */
  readonly landed: Promise<void>
  land(): void
  /** It lands without an answer: whoever was to be given it left, or it broke off. */
  lose(): void
  /** Of those who waited for one that was lost, the first is to ask next. Whether others are to wait for that one. */
  isFollowed(): boolean
}

/** Concurrent misses of one address become one request; the others wait, but never long. */
export class Flights {
  /** All that are on their way, the newest of each address last: the one to wait for. */
  readonly #flights = new Map<string, Flight[]>()
  readonly #waitMs: number
  readonly #max: number
  #size = 0

  constructor(options: { waitMs?: number; max?: number } = {}) {
    this.#waitMs = options.waitMs ?? 3_000
    this.#max = options.max ?? 10_000
  }

  get size(): number {
    return this.#size
  }

  has(uri: string): boolean {
    return this.#flights.has(uri)
  }

  /** The flight to wait for. */
  under(uri: string, now: number): Flight | null {
    const flight = this.#flights.get(uri)?.at(-1)
    return flight !== undefined && now - flight.at < this.#waitMs ? flight : null
  }

  /** This request goes; an older one that is still on its way no longer keeps anybody. null: there are too many, nobody waits for it. */
  begin(uri: string, now: number): Flight | null {
    if (this.#size >= this.#max) return null
    const { promise, resolve } = Promise.withResolvers<void>()
    let lost = false
    let followed = false
    const flight: Flight = {
      uri,
      at: now,
      void: false,
      landed: promise,
      land: () => {
        this.#remove(flight)
        resolve()
      },
      lose: () => {
        lost ||= this.#remove(flight)
        resolve()
      },
      isFollowed: () => {
        const others = lost && followed
        followed = true
        return others
      },
    }
    const others = this.#flights.get(uri)
    if (others) others.push(flight)
    else this.#flights.set(uri, [flight])
    this.#size++
    return flight
  }

  /** False: it had landed. */
  #remove(flight: Flight): boolean {
    const flights = this.#flights.get(flight.uri)
    const at = flights?.indexOf(flight) ?? -1
    if (!flights || at === -1) return false
    flights.splice(at, 1)
    this.#size--
    if (flights.length === 0) this.#flights.delete(flight.uri)
    return true
  }

  /** How long a visitor who begins to wait now may do so at all, for this flight and those that follow it. */
  deadline(flight: Flight): number {
    return flight.at + this.#waitMs
  }

  /** Resolves when the flight has landed, or after the bound. */
  async wait(flight: Flight, now: number, until = this.deadline(flight)): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, until - now))
    })
    await Promise.race([flight.landed, late])
    clearTimeout(timer)
  }

  /** What is on its way for these addresses is not to be stored. */
  voidAll(wanted: (uri: string) => boolean): void {
    for (const [uri, flights] of this.#flights) if (wanted(uri)) for (const flight of flights) flight.void = true
  }

  /** The same for one address. */
  voidOf(uri: string): void {
    for (const flight of this.#flights.get(uri) ?? []) flight.void = true
  }
}
