import type { RouterLog } from '../log'
import type { KeyPair, SealedStore } from './sealed-store'

/** Requests chains and keys from the control plane. @throws when it is unreachable or does not answer. */
export type AskForPairs = (ids: string[]) => Promise<KeyPair[]>

/** Pairs per request, so that an answer stays below a few megabytes. */
const batch = 200
/** After a failed request, handshakes do not request the same pair again for this time. */
const patienceMs = 15_000
/** Maximum pairs kept in memory because they could not be written to disk. */
const maxUnsaved = 2_000

/** Loads chains and keys from disk, else from the control plane. Concurrent handshakes for one pair share a request. */
export class KeyPairs {
  readonly #store: SealedStore
  readonly #ask: AskForPairs
  readonly #log: RouterLog
  readonly #unsaved = new Map<string, KeyPair>()
  readonly #loading = new Map<string, Promise<KeyPair | null>>()
  /** id → time of the last failed request. */
  readonly #failedAt = new Map<string, number>()
  #complained = false

  constructor(store: SealedStore, ask: AskForPairs, log: RouterLog) {
    this.#store = store
    this.#ask = ask
    this.#log = log
  }

  has(id: string): boolean {
    return this.#unsaved.has(id) || this.#store.has(id)
  }

  /** null: neither on disk nor available from the control plane now. */
  get(id: string): Promise<KeyPair | null> {
    const loading = this.#loading.get(id) ?? this.#load(id).finally(() => this.#loading.delete(id))
    this.#loading.set(id, loading)
    return loading
  }

  async #load(id: string): Promise<KeyPair | null> {
    // Always check the disk: another worker may have stored the pair.
    const found = this.#unsaved.get(id) ?? (await this.#store.load(id))
    if (found) return found
    if (Date.now() - (this.#failedAt.get(id) ?? Number.NEGATIVE_INFINITY) < patienceMs) return null
    return (await this.fetch([id])).get(id) ?? null
  }

  /** Requests pairs from the control plane, stores and returns those received. Never throws. */
  async fetch(ids: readonly string[]): Promise<Map<string, KeyPair>> {
    const came = new Map<string, KeyPair>()
    for (let i = 0; i < ids.length; i += batch) {
      const asked = ids.slice(i, i + batch)
      const pairs = await this.#askFor(asked)
      for (const pair of pairs) {
        if (!asked.includes(pair.id)) continue
        came.set(pair.id, pair)
        await this.#keep(pair)
      }
      for (const id of asked) if (!came.has(id)) this.#failedAt.set(id, Date.now())
      if (pairs.length === 0) break // the next would fail the same way
    }
    for (const id of came.keys()) this.#failedAt.delete(id)
    return came
  }

  // The control plane is another process, possibly of another version: ignore entries that are not valid pairs.
  async #askFor(ids: string[]): Promise<KeyPair[]> {
    try {
      const pairs: unknown = await this.#ask(ids)
      return Array.isArray(pairs) ? pairs.filter(isPair) : []
    } catch (error) {
      this.#log.warn({ err: error, certificates: ids.length }, 'the keys of certificates could not be fetched: trying again')
      return []
    }
  }

  async #keep(pair: KeyPair): Promise<void> {
    try {
      await this.#store.save(pair)
      this.#unsaved.delete(pair.id)
      this.#complained = false
    } catch (error) {
      // A full disk fails thousands of writes in a row: log the first only.
      if (!this.#complained)
        this.#log.error({ err: error, certificate: pair.id }, 'certificates cannot be stored: they are served from memory until the disk takes them')
      this.#complained = true
      this.#unsaved.set(pair.id, pair)
      for (const id of this.#unsaved.keys()) {
        if (this.#unsaved.size <= maxUnsaved) break
        this.#unsaved.delete(id)
      }
    }
  }

  /** Retries failed disk writes and removes pairs that no table names. */
  async tidy(ids: ReadonlySet<string>, removeBeforeMs: number): Promise<void> {
    for (const id of this.#failedAt.keys()) if (!ids.has(id)) this.#failedAt.delete(id)
    for (const pair of [...this.#unsaved.values()]) {
      if (ids.has(pair.id)) await this.#keep(pair)
      else this.#unsaved.delete(pair.id)
    }
    const removed = await this.#store.sweep(ids, removeBeforeMs)
    if (removed > 0) this.#log.info({ removed }, 'keys of certificates that are no longer used were removed')
  }
}

function isPair(value: unknown): value is KeyPair {
  const pair = value as Partial<KeyPair> | null
  return typeof pair?.id === 'string' && typeof pair.chainPem === 'string' && typeof pair.keyPem === 'string'
}
