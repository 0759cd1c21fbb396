import { Transform } from 'node:stream'
import type { AnswerFilter, LocalAnswer, RequestFacts } from '../gate/gate'
import { type Entry, type EntryOrigin, type EntryState, type Headers, isCookie, reader } from './entry'
import { type Lifetime, lifetimeOf } from './freshness'
import type { SharedFetch } from './single-flight'

/** Error statuses that a stale answer may replace (RFC 5861 §4). */
export const failures: ReadonlySet<number> = new Set([500, 502, 503, 504])
/** Statuses caused by the conditions, ranges, preferences or errors of a single request. */
const askersOwn = new Set([304, 400, 406, 412, 416, 431])

/** A stored answer with its payload, held in memory until the instance has answered. */
export interface HeldEntry {
  readonly entry: Entry
  readonly body: Buffer
}

/** null: nothing is stored, or the payload is on disk. */
export const heldNow = (entry: Entry | null): HeldEntry | null => (entry?.body ? { entry, body: entry.body } : null)

export interface FilterHost {
  readonly maxBytes: number
  /** Reserves memory for bytes being collected; a negative number releases it. False: the limit is reached. */
  collect(bytes: number): boolean
  now(): number
  /** Marks the address as uncacheable, so later requests do not wait for a shared fetch. */
  markUncacheable(): void
  send(held: HeldEntry, state: EntryState): LocalAnswer
  /** Restarts the freshness of a stored answer with the fields of a 304. */
  freshen(entry: Entry, headers: Headers, lifetime: Lifetime | null): void
  /** The key and metadata of an answer with these headers; call before the request object is reused. */
  origin(headers: Headers): EntryOrigin
  store(origin: EntryOrigin, status: number, headers: Headers, body: Buffer, lifetime: Lifetime): void
}

interface FilterWhat {
  /** The stored answer being revalidated: a 304 is answered from it. */
  validating: HeldEntry | null
  /** The stored answer that may replace an error. */
  stale: HeldEntry | null
  facts: RequestFacts
  sharedFetch: SharedFetch | null
  host: FilterHost
}

/** Stores the answer to one request while it is forwarded, or replaces it with a stored answer. */
export class StoringFilter implements AnswerFilter {
  cache: AnswerFilter['cache'] = 'none'
  readonly #what: FilterWhat
  readonly #authorized: boolean
  #aborted = false
  /** Releases the collected bytes. */
  #giveUp: (() => void) | null = null

  constructor(what: FilterWhat) {
    this.#what = what
    this.#authorized = what.facts.has('authorization')
  }

  wants(status: number, read: (name: string) => string | undefined): boolean {
    const { stale, validating } = this.#what
    if (status === 304 ? validating : failures.has(status) && stale) return true
    if (lifetimeOf({ authorized: this.#authorized }, status, read)) return true
    this.#settle(status)
    return false
  }

  onHead(status: number, headers: Headers): ReturnType<AnswerFilter['onHead']> {
    const { validating, stale, host } = this.#what
    const read = reader(headers)
    if (status === 304 && validating) return this.#validated(validating, headers)
    if (failures.has(status) && stale?.entry.mayReplaceError(host.now())) {
      const answer = host.send(stale, 'stale')
      this.#what.sharedFetch?.finish()
      this.abort()
      return { replace: answer }
    }
    const lifetime = lifetimeOf({ authorized: this.#authorized }, status, read)
    const length = read('content-length')
    if (!lifetime || Number(length ?? 0) > host.maxBytes) {
      this.#settle(status)
      return null
    }
    this.cache = 'miss'
    const marked: Headers = [...headers, ['Cache-Status', 'switchyard; fwd=uri-miss; stored']]
    if (status === 204 || length === '0') {
      this.#keep(host.origin(headers), status, headers, Buffer.alloc(0), lifetime)
      return { status, headers: marked, through: null }
    }
    return { status, headers: marked, through: this.#collector(status, headers, lifetime, length === undefined ? null : Number(length)) }
  }

  abort(): void {
    this.#aborted = true
    this.#what.sharedFetch?.fail()
    this.#giveUp?.()
  }

  #validated(held: HeldEntry, headers: Headers): ReturnType<AnswerFilter['onHead']> {
    const { host } = this.#what
    const { entry } = held
    host.freshen(entry, headers, lifetimeOf({ authorized: this.#authorized }, entry.status, reader(headers)))
    this.#what.sharedFetch?.finish()
    const answer = host.send(held, 'revalidated')
    this.cache = 'revalidated'
    const cookies = headers.filter(([name]) => isCookie(name))
    if (cookies.length === 0) return { replace: answer }
    const { head: _, ...rest } = answer
    return { replace: { ...rest, headers: [...answer.headers, ...cookies] } }
  }

  // Errors and statuses caused by a single request say nothing about whether the next answer can be stored.
  #settle(status: number): void {
    if (status < 500 && !askersOwn.has(status)) this.#what.host.markUncacheable()
    this.#what.sharedFetch?.finish()
  }

  #keep(origin: EntryOrigin, status: number, headers: Headers, body: Buffer, lifetime: Lifetime): void {
    this.#what.host.store(origin, status, headers, body, lifetime)
    this.#what.sharedFetch?.finish()
  }

  #collector(status: number, headers: Headers, lifetime: Lifetime, length: number | null): Transform {
    const { host, sharedFetch } = this.#what
    const origin = host.origin(headers)
    let parts: Buffer[] | null = []
    let size = 0
    const giveUp = () => {
      if (parts === null) return
      parts = null
      host.collect(-size)
      sharedFetch?.finish()
    }
    const collector = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        if (parts !== null && size + chunk.length <= host.maxBytes && host.collect(chunk.length)) {
          size += chunk.length
          parts.push(chunk)
        } else {
          if (size + chunk.length > host.maxBytes) host.markUncacheable()
          giveUp()
        }
        done(null, chunk)
      },
      flush: (done) => {
        if (parts !== null && !this.#aborted && (length === null || length === size))
          this.#keep(origin, status, headers, Buffer.concat(parts), lifetime)
        done()
      },
    })
    collector.once('close', giveUp)
    this.#giveUp = giveUp
    return collector
  }
}
