/** A bounded map that evicts the least recently used entry first. */
export class LastUsed<V> {
  readonly #most: number
  readonly #values = new Map<string, V>()

  constructor(most: number) {
    this.#most = most
  }

  get(key: string): V | undefined {
    const value = this.#values.get(key)
    // Track the order of use only when the map is more than half full: below that a lookup stays a single map access.
    if (value !== undefined && this.#values.size * 2 > this.#most) {
      this.#values.delete(key)
      this.#values.set(key, value)
    }
    return value
  }

  set(key: string, value: V): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#most) break
      this.#values.delete(oldest)
    }
  }

  keepOnly(keys: { has(key: string): boolean }): void {
    for (const key of this.#values.keys()) if (!keys.has(key)) this.#values.delete(key)
  }

  clear(): void {
    this.#values.clear()
  }
}
