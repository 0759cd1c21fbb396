import { type Held, MemoryBound } from '../http/memory-bound'
import type { DiskTier } from './disk-tier'
import type { Entry } from './entry'

/** Maximum variants per address; more evict the oldest. A Vary that never matches again must not fill the store. */
const maxVariants = 32

/** Maximum bytes of pending disk writes: payloads stay in memory until they are written. */
const defaultMaxWriting = 16 * 1024 * 1024

/** Where an entry is stored, and what frees its space. */
interface Place {
  entry: Entry
  /** Reservation in memory. null: not in memory. */
  memory: Held | null
  /** Reservation on disk, and the file name. null: not on disk. */
  disk: { held: Held; file: string } | null
}

export interface PurgeWish {
  projectId: string
  tags?: string[]
  /** Exact paths, or prefixes that end with `*`. */
  paths?: string[]
}

/** Stored answers by address, in memory first and then on disk, each within a byte limit. */
export class EntryStore {
  readonly #uris = new Map<string, Place[]>()
  readonly #projects = new Map<string, Set<Place>>()
  readonly #memory: MemoryBound
  readonly #diskBound: MemoryBound
  readonly #disk: DiskTier | null
  readonly #maxWriting: number
  #writing = 0
  /** Reads from disk under way; requests for the same entry share one read. */
  readonly #reading = new Map<Entry, Promise<Buffer | null>>()

  constructor(options: { memoryBytes: number; diskBytes: number; disk: DiskTier | null; writingBytes?: number }) {
    // Allow a quarter of the memory per entry: the largest payload with its encoded variants exceeds the default of an eighth.
    this.#memory = new MemoryBound(options.memoryBytes, options.memoryBytes / 4)
    this.#diskBound = new MemoryBound(options.diskBytes)
    this.#disk = options.disk
    this.#maxWriting = options.writingBytes ?? defaultMaxWriting
  }

  get size(): number {
    return this.#uris.size
  }

  has(uri: string): boolean {
    return this.#uris.has(uri)
  }

  /** The stored variant that matches the request. null: none. */
  find(uri: string, header: (name: string) => string | undefined): Entry | null {
    for (const place of this.#uris.get(uri) ?? []) {
      if (!place.entry.matches(header)) continue
      if (place.memory) place.memory.used = true
      return place.entry
    }
    return null
  }

  /** The payload: synchronously from memory, else from disk. null: the file is lost, and the entry is removed. */
  body(entry: Entry): Buffer | Promise<Buffer | null> {
    if (entry.body) return entry.body
    const reading = this.#reading.get(entry) ?? this.#fetch(entry).finally(() => this.#reading.delete(entry))
    this.#reading.set(entry, reading)
    return reading
  }

  async #fetch(entry: Entry): Promise<Buffer | null> {
    const place = this.#placeOf(entry)
    const body = place?.disk ? await this.#disk?.get(place.disk.file, entry.bodyBytes) : null
    if (!body) {
      this.remove(entry)
      return null
    }
    // Requested again: move the payload from disk back to memory.
    if (place?.disk) {
      this.#leaveDisk(place)
      entry.body = body
      if (!this.#hold(place)) this.#forget(place)
    }
    return body
  }

  /** Stores an entry and removes the variant that it replaces. False: too large. */
  put(entry: Entry): boolean {
    const { uri, projectId, vary } = entry.origin
    const same = (this.#uris.get(uri) ?? []).filter(({ entry: old }) => sameVariant(old, vary))
    for (const { entry: old } of same) this.remove(old)
    const place: Place = { entry, memory: null, disk: null }
    if (!this.#hold(place)) return false
    const variants = this.#uris.get(uri) ?? []
    variants.unshift(place)
    this.#uris.set(uri, variants)
    for (const { entry: oldest } of variants.slice(maxVariants)) this.remove(oldest)
    const ofProject = this.#projects.get(projectId) ?? new Set()
    this.#projects.set(projectId, ofProject.add(place))
    return true
  }

  /** Recalculates the size of an entry after its fields changed; removes it if it is now too large. */
  weigh(entry: Entry): void {
    const place = this.#placeOf(entry)
    if (!place?.memory) return
    this.#memory.remove(place.memory)
    if (!this.#hold(place)) this.#forget(place)
  }

  remove(entry: Entry): void {
    const place = this.#placeOf(entry)
    if (place) this.#forget(place)
  }

  /** Removes all variants of an address. */
  removeUri(uri: string): void {
    for (const place of [...(this.#uris.get(uri) ?? [])]) this.#forget(place)
  }

  /** Removes matching entries and returns their number. Without tags and paths: all entries of the project. */
  purge(wish: PurgeWish): number {
    const places = [...(this.#projects.get(wish.projectId) ?? [])]
    const tags = new Set(wish.tags ?? [])
    const isNamed = namer(wish.paths ?? [])
    const all = tags.size === 0 && (wish.paths ?? []).length === 0
    const wanted = places.filter(({ entry }) => all || entry.tags.some((tag) => tags.has(tag)) || entry.origin.paths.some(isNamed))
    for (const place of wanted) this.#forget(place)
    return wanted.length
  }

  /** All entries. Entries may be added or removed during iteration. */
  *entries(): Generator<Entry, void> {
    for (const places of this.#projects.values()) for (const { entry } of places) yield entry
  }

  clear(): void {
    for (const places of [...this.#projects.values()]) for (const place of [...places]) this.#forget(place)
  }

  #placeOf(entry: Entry): Place | undefined {
    return this.#uris.get(entry.origin.uri)?.find((place) => place.entry === entry)
  }

  #hold(place: Place): boolean {
    const held: Held = { bytes: place.entry.heldBytes, used: false, drop: () => void this.#spill(place) }
    place.memory = held
    if (this.#memory.add(held)) return true
    place.memory = null
    return false
  }

  // Moves a payload from memory to disk, if a disk tier exists; else removes the entry.
  async #spill(place: Place): Promise<void> {
    const { entry } = place
    const body = entry.body
    place.memory = null
    if (!this.#disk || !body || this.#writing + body.length > this.#maxWriting) return this.#forget(place)
    this.#writing += body.length
    const file = await this.#disk.put(body)
    this.#writing -= body.length
    if (!this.#isKept(place) || file === null) {
      if (file) this.#disk.drop(file)
      return this.#forget(place)
    }
    // The metadata stays in memory, which is scarcer than disk: count it eightfold.
    const held: Held = { bytes: entry.bodyBytes + 8 * entry.describedBytes, used: false, drop: () => this.#forget(place) }
    place.disk = { held, file }
    entry.unload()
    if (!this.#diskBound.add(held)) this.#forget(place)
  }

  #isKept(place: Place): boolean {
    return this.#projects.get(place.entry.origin.projectId)?.has(place) ?? false
  }

  #leaveDisk(place: Place): void {
    if (!place.disk) return
    this.#diskBound.remove(place.disk.held)
    this.#disk?.drop(place.disk.file)
    place.disk = null
  }

  #forget(place: Place): void {
    const { uri, projectId } = place.entry.origin
    const variants = this.#uris.get(uri)
    const left = variants?.filter((other) => other !== place) ?? []
    if (left.length === 0) this.#uris.delete(uri)
    else this.#uris.set(uri, left)
    const ofProject = this.#projects.get(projectId)
    ofProject?.delete(place)
    if (ofProject?.size === 0) this.#projects.delete(projectId)
    if (place.memory) this.#memory.remove(place.memory)
    place.memory = null
    this.#leaveDisk(place)
    // Requests that still send the entry hold its payload; an encoding that has not begun must not keep it in memory.
    place.entry.unload()
  }
}

/** An entry with other Vary fields also replaces the old one: the instance now selects answers by the new fields. */
const sameVariant = (old: Entry, vary: Entry['origin']['vary']) =>
  old.origin.vary.length !== vary.length ||
  vary.every(({ name, normalized }, at) => old.origin.vary[at]?.name === name && old.origin.vary[at]?.normalized === normalized)

/** Matches paths and prefixes, both as written and percent-decoded. */
function namer(wanted: readonly string[]): (path: string) => boolean {
  const asWritten = wishes(wanted, (path) => path)
  const plain = wishes(wanted, decoded)
  return (path) => asWritten(path) || plain(decoded(path))
}

function wishes(wanted: readonly string[], spelled: (path: string) => string): (path: string) => boolean {
  const whole = new Set<string>()
  const begins: string[] = []
  for (const path of wanted) {
    if (path.endsWith('*')) begins.push(spelled(path.slice(0, -1)))
    else whole.add(spelled(path))
  }
  return (path) => whole.has(path) || begins.some((begin) => path.startsWith(begin))
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
