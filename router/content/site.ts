import { readFile } from 'node:fs/promises'
import type { LocalAnswer, RequestFacts } from '../gate/gate'
import { compressWhole } from '../http/compress'
import { parseEtags } from '../http/conditions'
import { acceptedEncodings, type Encoding, encodings, isCompressible, minCompressBytes } from '../http/encodings'
import type { MemoryBound } from '../http/memory-bound'
import type { Bytes } from './bytes'
import { contentTypeOf } from './content-type'
import type { OpenFiles } from './open-files'
import { publicPath } from './public-path'
import { Representation } from './representation'
import { findFile, type SiteFile, type SiteIndex, siblingSuffix } from './site-index'

/** Resources shared by the sites of a worker. */
export interface SiteShare {
  memory: MemoryBound
  files: OpenFiles
  /** Queues a compression; false: the queue is full. */
  later(work: () => Promise<void>): boolean
}

/** Larger files are read from disk each time. */
const maxMemoryBytes = 1024 * 1024
/** Larger text is sent uncompressed, unless the build compressed it. */
const maxCompressBytes = 16 * 1024 * 1024
/** Requests of a file before it is compressed. */
const hotAfter = 2
const maxPaths = 20_000
/** Cached paths per file, which limits small sites: scanners that request missing files from all sites must not fill the memory. */
const pathsOfFile = 4
const fewPaths = 256
/** Longer paths are not cached: they are requested too rarely. */
const maxPathLength = 512

/** The public files of one artifact. */
export class Site {
  readonly #digest: string
  readonly #index: SiteIndex
  readonly #share: SiteShare
  readonly #entries = new Map<SiteFile, Entry>()
  /** Request path as sent → file; null: no file. Bounded, because scanners request many missing paths. */
  readonly #paths = new Map<string, Entry | null>()
  readonly #maxPaths: number

  constructor(digest: string, index: SiteIndex, share: SiteShare) {
    this.#digest = digest
    this.#index = index
    this.#share = share
    this.#maxPaths = Math.min(maxPaths, fewPaths + pathsOfFile * index.files.size)
  }

  /** Number of cached request paths. */
  get remembered(): number {
    return this.#paths.size
  }

  /** The entry for a request path, percent-encoded and without query. */
  at(path: string): Entry | null {
    const known = this.#paths.get(path)
    if (known !== undefined) return known
    const wanted = publicPath(path)
    const file = wanted === null ? null : findFile(this.#index, wanted)
    const entry = file && this.#entryOf(file)
    if (path.length > maxPathLength) return entry
    if (this.#paths.size >= this.#maxPaths) this.#paths.clear()
    // Copy the path: a slice would keep the whole request target alive, including a long query.
    this.#paths.set(Buffer.from(path).toString(), entry)
    return entry
  }

  named(name: string): Entry | null {
    const file = this.#index.files.get(name)
    return file ? this.#entryOf(file) : null
  }

  /** Releases all memory. */
  close(): void {
    for (const entry of this.#entries.values()) entry.close()
  }

  #entryOf(file: SiteFile): Entry {
    let entry = this.#entries.get(file)
    if (!entry) {
      const siblings = new Map<Encoding, SiteFile>()
      for (const encoding of encodings) {
        const sibling = this.#index.files.get(`${file.name}${siblingSuffix[encoding]}`)
        if (sibling) siblings.set(encoding, sibling)
      }
      entry = new Entry(this.#digest, file, siblings, this.#share)
      this.#entries.set(file, entry)
    }
    return entry
  }
}

type Coding = Encoding | 'identity'

/** One file with all its representations, loaded on demand. */
export class Entry {
  readonly #digest: string
  readonly #file: SiteFile
  readonly #siblings: ReadonlyMap<Encoding, SiteFile>
  readonly #share: SiteShare
  readonly #ready = new Map<Coding, Representation>()
  readonly #loading = new Map<Coding, Promise<Representation>>()
  readonly #compressible: boolean
  #asked = 0

  constructor(digest: string, file: SiteFile, siblings: ReadonlyMap<Encoding, SiteFile>, share: SiteShare) {
    this.#digest = digest
    this.#file = file
    this.#siblings = siblings
    this.#share = share
    this.#compressible = isCompressible(contentTypeOf(file.name)) && file.size >= minCompressBytes && file.size <= maxCompressBytes
  }

  get name(): string {
    return this.#file.name
  }

  /** Calls `make` with the representation that fits the request, synchronously if it is in memory. */
  answer(facts: RequestFacts, make: (chosen: Representation) => LocalAnswer): LocalAnswer | Promise<LocalAnswer> {
    const coding = this.#choose(facts)
    const ready = this.#ready.get(coding)
    return ready ? make(ready) : this.#load(coding).then(make)
  }

  close(): void {
    for (const representation of this.#ready.values()) this.#share.memory.remove(representation)
    this.#ready.clear()
    // Close the descriptors: a removed file occupies disk space until no process has it open.
    for (const { file } of [this.#file, ...this.#siblings.values()]) this.#share.files.forget(file)
  }

  get #varies(): boolean {
    return this.#compressible || this.#siblings.size > 0
  }

  #choose(facts: RequestFacts): Coding {
    if (!this.#varies) return 'identity'
    const accepted = acceptedEncodings(facts.header('accept-encoding'))
    const wanted = accepted[0]
    if (wanted === undefined) return 'identity'
    const held = this.#heldByClient(facts, accepted)
    if (held) return held
    // A range request without a stated representation must match earlier parts: only the uncompressed representation is always available.
    if (facts.header('range') !== undefined) return 'identity'
    for (const encoding of accepted) if (this.#ready.has(encoding) || this.#siblings.has(encoding)) return encoding
    if (this.#compressible && ++this.#asked >= hotAfter) this.#compressLater(wanted)
    return 'identity'
  }

  /** The representation whose ETag the client sent: every accepted one is allowed, and this one saves the transfer. */
  #heldByClient(facts: RequestFacts, accepted: readonly Encoding[]): Coding | null {
    const list = facts.header('if-none-match') ?? facts.header('if-range')
    const etags = list === undefined ? null : parseEtags(list)
    if (!etags) return null
    for (const coding of [...accepted, 'identity'] as const) {
      const ready = this.#ready.get(coding)
      if (ready && etags.some((etag) => etag.endsWith(ready.etag))) return coding
    }
    return null
  }

  #load(coding: Coding): Promise<Representation> {
    const under = this.#loading.get(coding)
    if (under) return under
    const loading = this.#read(coding).finally(() => this.#loading.delete(coding))
    this.#loading.set(coding, loading)
    return loading
  }

  async #read(coding: Coding): Promise<Representation> {
    const source = coding === 'identity' ? this.#file : (this.#siblings.get(coding) ?? this.#file)
    if (source.size > maxMemoryBytes) {
      const { files } = this.#share
      return this.#keep(coding, { size: source.size, read: (first, last) => files.read(source.file, first, last) })
    }
    return this.#keep(coding, { memory: await readFile(source.file) })
  }

  #keep(coding: Coding, bytes: Bytes): Representation {
    const made: Representation = new Representation({
      file: this.#file,
      encoding: coding === 'identity' ? null : coding,
      bytes,
      varies: this.#varies,
      identity: this.#digest,
      drop: () => {
        if (this.#ready.get(coding) === made) this.#ready.delete(coding)
      },
    })
    if (made.bytes === 0 || this.#share.memory.add(made)) this.#ready.set(coding, made)
    return made
  }

  #compressLater(encoding: Encoding): void {
    if (this.#loading.has(encoding)) return
    const { promise, resolve, reject } = Promise.withResolvers<Representation>()
    promise.catch(() => {})
    const work = async () => {
      try {
        const plain = await readFile(this.#file.file)
        resolve(this.#keep(encoding, { memory: await compressWhole(plain, encoding, plain.length > maxMemoryBytes ? 'quick' : 'thorough') }))
      } catch (error) {
        reject(error)
      } finally {
        this.#loading.delete(encoding)
      }
    }
    if (this.#share.later(work)) this.#loading.set(encoding, promise)
  }
}
