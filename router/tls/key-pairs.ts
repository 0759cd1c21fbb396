import type { RouterLog } from '../log'
import type { KeyPair, SealedStore } from './sealed-store'

/** Asks the control plane for chains and keys. @throws when it is not there or silent. */
export type AskForPairs = (ids: string[]) => Promise<KeyPair[]>

/** So many at once: an answer stays below a few megabytes. */
const batch = 200
/** How long one that was asked for in vain is not asked for again by a handshake. */
const patienceMs = 15_000
/** Pairs that could not be written are kept in memory, up to so many. */
const maxUnsaved = 2_000

/** Chains and keys: from disk, else from the control plane, which is asked once however many handshakes wait. */
export class KeyPairs {
  readonly #store: SealedStore
  readonly #ask: AskForPairs
  readonly #log: RouterLog
  readonly #unsaved = new Map<string, KeyPair>()
  readonly #loading = new Map<string, Promise<KeyPair | null>>()
  /** id → when it was asked for in vain. */
  readonly #vain = new Map<string, number>()
  #complained = false

  constructor(store: SealedStore, ask: AskForPairs, log: RouterLog) {
    this.#store = store
    this.#ask = ask
    this.#log = log
  }

  has(id: string): boolean {
    return this.#unsaved.has(id) || this.#store.has(id)
  }

  /** null: neither disk nor control plane have it now. */
  get(id: string): Promise<KeyPair | null> {
    const loading = this.#loading.get(id) ?? this.#load(id).finally(() => this.#loading.delete(id))
    this.#loading.set(id, loading)
    return loading
  }

  async #load(id: string): Promise<KeyPair | null> {
    // Another worker may have stored what this one never asked for: the disk is always looked at.
    const found = this.#unsaved.get(id) ?? (await this.#store.load(id))
    if (found) return found
    if (Date.now() - (this.#vain.get(id) ?? Number.NEGATIVE_INFINITY) < patienceMs) return null
    return (await this.fetch([id])).get(id) ?? null
  }

  /** Asks the control plane for these and stores what comes. Resolves with what came; never throws. */
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
      for (const id of asked) if (!came.has(id)) this.#vain.set(id, Date.now())
      if (pairs.length === 0) break // the next would fail the same way
    }
    for (const id of came.keys()) this.#vain.delete(id)
    return came
  }

  // The answer is another process's, maybe of another version: only what is a pair is taken.
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
      // A full disk refuses thousands in a row: said once.
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

  /** Writes what the disk did not take before; forgets what no table names. */
  async tidy(ids: ReadonlySet<string>, removeBeforeMs: number): Promise<void> {
    for (const id of this.#vain.keys()) if (!ids.has(id)) this.#vain.delete(id)
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
