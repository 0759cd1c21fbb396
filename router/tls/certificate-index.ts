import type { CertificateEntry } from '@/shared/route-table'

const newestFirst = (a: CertificateEntry, b: CertificateEntry) => b.notAfter - a.notAfter

/** Finds the certificates for a hostname with two map lookups, independent of their number. */
export class CertificateIndex {
  /** Newest first. `#wild`: keyed by the part after `*`. */
  readonly #exact = new Map<string, CertificateEntry[]>()
  readonly #wild = new Map<string, CertificateEntry[]>()

  readonly #ids = new Set<string>()

  /** Use `add` to fill a large index step by step. */
  constructor(entries: readonly CertificateEntry[] = []) {
    for (const entry of entries) this.add(entry)
  }

  add(entry: CertificateEntry): void {
    this.#ids.add(entry.id)
    for (const name of entry.names) {
      const wild = name.startsWith('*.')
      const map = wild ? this.#wild : this.#exact
      const key = (wild ? name.slice(1) : name).toLowerCase()
      const list = map.get(key)
      if (list === undefined) map.set(key, [entry])
      else {
        const older = list.findIndex((other) => newestFirst(entry, other) < 0)
        list.splice(older === -1 ? list.length : older, 0, entry)
      }
    }
  }

  /** Whether the index contains this certificate. */
  has(id: string): boolean {
    return this.#ids.has(id)
  }

  get ids(): ReadonlySet<string> {
    return this.#ids
  }

  /** The best certificate for a name: exact before wildcard, valid before expired. */
  best(name: string, now: number): CertificateEntry | undefined {
    const exact = this.#exact.get(name)?.[0]
    if (exact !== undefined && exact.notAfter > now) return exact
    const wild = this.#wildcards(name)?.[0]
    if (wild !== undefined && (exact === undefined || wild.notAfter > now)) return wild
    return exact
  }

  /** All certificates for a name, best first: fallbacks while the key of the best is not loaded. */
  candidates(name: string, now: number): CertificateEntry[] {
    const all = [...(this.#exact.get(name) ?? []), ...(this.#wildcards(name) ?? [])]
    return [...all.filter((entry) => entry.notAfter > now), ...all.filter((entry) => entry.notAfter <= now).sort(newestFirst)]
  }

  #wildcards(name: string): CertificateEntry[] | undefined {
    const dot = name.indexOf('.')
    return dot > 0 ? this.#wild.get(name.slice(dot)) : undefined
  }
}
