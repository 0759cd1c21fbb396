/** One request to an instance whose answer other requests wait for. */
export interface SharedFetch {
  readonly uri: string
  readonly at: number
  /** The address was purged or changed during the fetch: its answer must not be stored. */
  invalid: boolean
  /** Resolves when the answer is stored, or will not be. */
  readonly finished: Promise<void>
  finish(): void
  /** Ends without an answer: its client left, or the answer broke off. */
  fail(): void
  /** After a failed fetch: false for the first waiting request, which fetches next; true for the others, which wait for it. */
  hasFollowers(): boolean
}

/** Coalesces concurrent misses of one address into one request; the other requests wait for a bounded time. */
export class SingleFlight {
  /** Fetches under way. The last one of an address is the newest: requests wait for it. */
  readonly #byUri = new Map<string, SharedFetch[]>()
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
    return this.#byUri.has(uri)
  }

  /** The fetch to wait for; null: none, or it has taken too long already. */
  pending(uri: string, now: number): SharedFetch | null {
    const sharedFetch = this.#byUri.get(uri)?.at(-1)
    return sharedFetch !== undefined && now - sharedFetch.at < this.#waitMs ? sharedFetch : null
  }

  /** Begins a fetch; later requests wait for it instead of an older one. null: too many fetches are under way, requests do not wait for this one. */
  begin(uri: string, now: number): SharedFetch | null {
    if (this.#size >= this.#max) return null
    const { promise, resolve } = Promise.withResolvers<void>()
    let lost = false
    let followed = false
    const sharedFetch: SharedFetch = {
      uri,
      at: now,
      invalid: false,
      finished: promise,
      finish: () => {
        this.#remove(sharedFetch)
        resolve()
      },
      fail: () => {
        lost ||= this.#remove(sharedFetch)
        resolve()
      },
      hasFollowers: () => {
        const others = lost && followed
        followed = true
        return others
      },
    }
    const others = this.#byUri.get(uri)
    if (others) others.push(sharedFetch)
    else this.#byUri.set(uri, [sharedFetch])
    this.#size++
    return sharedFetch
  }

  /** False: the fetch had already ended. */
  #remove(sharedFetch: SharedFetch): boolean {
    const list = this.#byUri.get(sharedFetch.uri)
    const at = list?.indexOf(sharedFetch) ?? -1
    if (!list || at === -1) return false
    list.splice(at, 1)
    this.#size--
    if (list.length === 0) this.#byUri.delete(sharedFetch.uri)
    return true
  }

  /** Until when a request may wait, for this fetch and any that follow it. */
  deadline(sharedFetch: SharedFetch): number {
    return sharedFetch.at + this.#waitMs
  }

  /** Resolves when the fetch has ended, or at `until`. */
  async wait(sharedFetch: SharedFetch, now: number, until = this.deadline(sharedFetch)): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, until - now))
    })
    await Promise.race([sharedFetch.finished, late])
    clearTimeout(timer)
  }

  /** Keeps answers under way for these addresses from being stored. */
  invalidateAll(wanted: (uri: string) => boolean): void {
    for (const [uri, list] of this.#byUri) if (wanted(uri)) for (const sharedFetch of list) sharedFetch.invalid = true
  }

  /** Keeps answers under way for one address from being stored. */
  invalidate(uri: string): void {
    for (const sharedFetch of this.#byUri.get(uri) ?? []) sharedFetch.invalid = true
  }
}
