import { Transform } from 'node:stream'
import type { AnswerFilter, LocalAnswer, RequestFacts } from '../gate/gate'
import { type Entry, type EntryOrigin, type EntryState, type Headers, isCookie, reader } from './entry'
import { type Lifetime, lifetimeOf } from './freshness'
import type { SharedFetch } from './single-flight'

/** Errors in whose place something stale may be sent (RFC 5861 §4). */
export const failures: ReadonlySet<number> = new Set([500, 502, 503, 504])
/** Led to by conditions, ranges, preferences and faults of one request. */
const askersOwn = new Set([304, 400, 406, 412, 416, 431])

/** A stored answer with its payload, which may leave memory before the instance has answered. */
export interface HeldEntry {
  readonly entry: Entry
  readonly body: Buffer
}

/** null: there is none, or its payload is on disk. */
export const heldNow = (entry: Entry | null): HeldEntry | null => (entry?.body ? { entry, body: entry.body } : null)

export interface FilterHost {
  readonly maxBytes: number
  /** Takes room for bytes that are held until they are stored, or gives it back (negative). False: there is none. */
  collect(bytes: number): boolean
  now(): number
  /** It is not worth waiting for this address. */
  markUncacheable(): void
  send(held: HeldEntry, state: EntryState): LocalAnswer
  /** What is stored counts anew, as the head of a 304 says. */
  freshen(entry: Entry, headers: Headers, lifetime: Lifetime | null): void
  /** Of the answer with this head, while the request is still at hand. */
  origin(headers: Headers): EntryOrigin
  store(origin: EntryOrigin, status: number, headers: Headers, body: Buffer, lifetime: Lifetime): void
}

interface FilterWhat {
  /** What a 304 would speak of. */
  validating: HeldEntry | null
  /** What may be sent in place of an error. */
  stale: HeldEntry | null
  facts: RequestFacts
  sharedFetch: SharedFetch | null
  host: FilterHost
}

/** Stores the answer of one request while it passes, or puts a stored one in its place. */
export class StoringFilter implements AnswerFilter {
  cache: AnswerFilter['cache'] = 'none'
  readonly #what: FilterWhat
  readonly #authorized: boolean
  #aborted = false
  /** Lets go of what was collected. */
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

  // An error says nothing about whether the next answer can be stored, nor does what only this visitor's fields led to.
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
