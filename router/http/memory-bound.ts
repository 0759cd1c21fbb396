/** Data in memory that can be recreated or loaded again. */
export interface Held {
  readonly bytes: number
  /** Used since the last sweep. */
  used: boolean
  /** Called when the memory is needed: release the data. */
  drop(): void
}

/**
 * Keeps a sum of bytes below a bound. Second chance instead of strict LRU: a hit only sets a flag, so the fast path costs a single write.
 */
export class MemoryBound {
  readonly #maxBytes: number
  readonly #maxEach: number
  readonly #held = new Set<Held>()
  #bytes = 0

  constructor(maxBytes: number, maxEach = maxBytes / 8) {
    this.#maxBytes = maxBytes
    this.#maxEach = maxEach
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False: larger than the limit per entry (default: an eighth of the bound). */
  add(held: Held): boolean {
    if (held.bytes > this.#maxEach) return false
    this.#held.add(held)
    this.#bytes += held.bytes
    this.#sweep(held)
    return true
  }

  remove(held: Held): void {
    if (this.#held.delete(held)) this.#bytes -= held.bytes
  }

  // A set iterates in insertion order: used entries move to the end once, and the new entry stays.
  #sweep(newcomer: Held): void {
    for (const held of this.#held) {
      if (this.#bytes <= this.#maxBytes) return
      if (held === newcomer) continue
      this.#held.delete(held)
      if (held.used) {
        held.used = false
        this.#held.add(held)
        continue
      }
      this.#bytes -= held.bytes
      held.drop()
    }
  }
}
