import type { LinkCommands } from '@/shared/link'
import { inSlices } from '@/shared/node/slices'
import type { AnswerCache, AnswerFilter, Found, LocalAnswer, RequestFacts } from '../gate/gate'
import { asksForSocket, nominatesFields } from '../http/nominated'
import { WorkQueue } from '../http/work-queue'
import type { HostTable, LiveRoute } from '../match/host-table'
import { forgetGone, uriOf } from './deployment-key'
import { DiskTier } from './disk-tier'
import { Entry, type EntryOrigin, type EntryState, type Headers, normalizeVaried, reader } from './entry'
import { type Lifetime, lifetimeOf } from './freshness'
import type { AskOrigin } from './origin'
import { type SharedFetch, SingleFlight } from './single-flight'
import { EntryStore } from './store'
import { type FilterHost, failures, type HeldEntry, heldNow, StoringFilter } from './storing-filter'
import { UncacheableKeys } from './uncacheable-keys'

export interface SharedCacheOptions {
  ask: AskOrigin
  /** Directory of the disk tier, shared by all workers of the installation. null: cache in memory only. */
  directory: string | null
  memoryBytes?: number
  diskBytes?: number
  /** Larger payloads are forwarded without being stored. */
  maxEntryBytes?: number
  maxCollectingBytes?: number
  /** Monotonic milliseconds: setting the system clock back must not keep answers fresh. */
  now?: () => number
}

const MiB = 1024 * 1024
export const defaultMaxEntryBytes = 8 * MiB
/** Every other method, known or unknown, counts as unsafe and invalidates stored answers (RFC 9111 §4.4). */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])
const maxRevalidations = 64
/** Background revalidations per project: a project with slow instances must not use up the limit of all projects. */
const maxOfProject = 8
/** Bytes of all answers being stored at the moment. Beyond this bound, answers pass on without being stored. */
const defaultMaxCollecting = 32 * MiB
const maxCompressions = 64

/**
 * A shared cache (RFC 9111), one per worker. Choices that the standard leaves open: only explicit freshness counts (see `lifetimeOf`). A
 * visitor's `Cache-Control: no-cache` or `no-store` is ignored, because a reload must not bypass the cache. The payload is stored as the
 * instance sent it; encoded variants are made on demand. The key contains the deployment, so a new deployment never serves answers of an
 * old one.
 */
export class SharedCache implements AnswerCache {
  readonly #store: EntryStore
  readonly #singleFlight = new SingleFlight()
  readonly #uncacheable = new UncacheableKeys()
  readonly #compressions = new WorkQueue(maxCompressions)
  readonly #ask: AskOrigin
  readonly #now: () => number
  readonly #maxEntryBytes: number
  readonly #maxCollecting: number
  #collecting = 0
  readonly #revalidating = new Set<Entry>()
  /** Number of purges and invalidations so far: an answer requested before a removal must not be stored after it. */
  #removals = 0
  #endSweep: () => void = () => {}

  constructor(options: SharedCacheOptions) {
    this.#ask = options.ask
    this.#now = options.now ?? (() => performance.now())
    this.#maxEntryBytes = options.maxEntryBytes ?? defaultMaxEntryBytes
    this.#maxCollecting = options.maxCollectingBytes ?? defaultMaxCollecting
    this.#store = new EntryStore({
      memoryBytes: options.memoryBytes ?? 64 * MiB,
      diskBytes: options.diskBytes ?? 512 * MiB,
      disk: options.directory === null ? null : new DiskTier(options.directory),
    })
  }

  lookup(route: LiveRoute, rewritten: string | null, facts: RequestFacts): Found {
    if (facts.method !== 'GET' && facts.method !== 'HEAD') return null
    if (this.#store.size === 0 && this.#singleFlight.size === 0) return null
    const target = rewritten ?? facts.target
    const uri = uriOf(route, target, facts)
    const found = this.#usable(uri, route, target, facts)
    if (found) return found
    const now = this.#now()
    const sharedFetch = facts.method === 'GET' && !isPersonal(facts) ? this.#singleFlight.pending(uri, now) : null
    if (!sharedFetch) return this.#recall(uri, facts)
    if (asksForSocket(facts.header('upgrade'))) return null
    return this.#await(sharedFetch, uri, route, target, facts)
  }

  /** Waits for the answer of a shared fetch. When the fetch fails, one waiting request fetches next, not all of them at once. */
  async #await(first: SharedFetch, uri: string, route: LiveRoute, target: string, facts: RequestFacts): Promise<LocalAnswer | null> {
    const until = this.#singleFlight.deadline(first)
    for (let sharedFetch: SharedFetch | null = first; sharedFetch !== null; ) {
      await this.#singleFlight.wait(sharedFetch, this.#now(), until)
      const found = await this.#usable(uri, route, target, facts)
      if (found !== null || !sharedFetch.hasFollowers()) return found
      // Wait one turn: the request that fetches next has then either started its fetch or decided not to.
      await new Promise((resolve) => setImmediate(resolve))
      sharedFetch = this.#now() < until ? this.#singleFlight.pending(uri, this.#now()) : null
    }
    return null
  }

  conditions(route: LiveRoute, target: string | null, facts: RequestFacts): Headers | null {
    if (this.#store.size === 0) return null
    const held = this.#toValidate(uriOf(route, target, facts), facts)
    // Uncacheable address: the request gets no filter, so a 304 could not be turned into the stored answer.
    if (!held || this.#uncacheable.has(route, facts, target ?? facts.target, isPersonal(facts), this.#now())) return null
    return validatorsOf(held.entry)
  }

  /** A stored answer that may replace an error (stale-if-error). null: none. */
  insteadOfError(route: LiveRoute, target: string | null, facts: RequestFacts): Found {
    if (this.#store.size === 0) return null
    if (facts.method !== 'GET' && facts.method !== 'HEAD') return null
    const entry = this.#store.find(uriOf(route, target, facts), (name) => facts.header(name))
    return entry?.mayReplaceError(this.#now()) ? this.#send(entry, route, facts, 'stale') : null
  }

  filter(route: LiveRoute, facts: RequestFacts, rewritten: string | null = null): AnswerFilter | null {
    // Invalidate even if the address is uncacheable now: other requests may store the old answer until the unsafe request completes.
    if (!safeMethods.has(facts.method)) return this.#invalidator(uriOf(route, rewritten, facts))
    if (facts.method !== 'GET') return null
    const now = this.#now()
    const target = rewritten ?? facts.target
    const personal = isPersonal(facts)
    if (this.#uncacheable.has(route, facts, target, personal, now) || asksMore(facts)) return null
    const uri = uriOf(route, target, facts)
    const sharedFetch = this.#singleFlight.pending(uri, now) ? null : this.#singleFlight.begin(uri, now)
    return new StoringFilter({
      validating: this.#toValidate(uri, facts),
      stale: this.#store.size > 0 ? heldNow(this.#store.find(uri, (name) => facts.header(name))) : null,
      facts,
      sharedFetch,
      host: this.#filterHost({ uri, target, personal }, route, facts, sharedFetch),
    })
  }

  /** Removes stored answers, and keeps answers under way from being stored. */
  purge(wish: LinkCommands['purge']['ask']): LinkCommands['purge']['answer'] {
    this.#removals++
    this.#singleFlight.invalidateAll((uri) => uri.startsWith(`${wish.projectId} `))
    return { entries: this.#store.purge(wish) }
  }

  /** Removes answers of deployments that no route uses any more. A long scan is split into slices of the event loop. */
  apply(table: HostTable): void {
    this.#endSweep()
    this.#endSweep = inSlices(forgetGone(table, this.#store))
  }

  close(): void {
    this.#endSweep()
    this.#store.clear()
  }

  #usable(uri: string, route: LiveRoute, target: string, facts: RequestFacts): Found {
    if (this.#store.size === 0) return null
    const entry = this.#store.find(uri, (name) => facts.header(name))
    const usability = entry?.usability(this.#now())
    if (!entry || usability === 'dead' || asksForSocket(facts.header('upgrade'))) return null
    if (usability === 'fresh') return this.#send(entry, route, facts, 'hit')
    this.#revalidate(entry, route, target, facts)
    return this.#send(entry, route, facts, 'stale')
  }

  /**
   * Loads a stored payload from disk into memory before the request is forwarded: the filter that sees a 304 or an error cannot wait for
   * the disk.
   */
  #recall(uri: string, facts: RequestFacts): Found {
    if (this.#store.size === 0 || facts.method !== 'GET') return null
    const entry = this.#store.find(uri, (name) => facts.header(name))
    if (entry === null || entry.body !== null) return null
    const useful = entry.etag !== null || entry.lastModified !== null || entry.mayReplaceError(this.#now())
    return useful ? Promise.resolve(this.#store.body(entry)).then(() => null) : null
  }

  #send(entry: Entry, route: LiveRoute, facts: RequestFacts, state: EntryState): Found {
    const compress = route.policy.compression ? this.#compressions : null
    const body = this.#store.body(entry)
    if (Buffer.isBuffer(body)) return entry.answer(facts, body, state, this.#now(), compress)
    return body.then((read) => read && entry.answer(facts, read, state, this.#now(), compress))
  }

  /** The stored response to revalidate. null: nothing is stored, or the request has its own conditions. */
  #toValidate(uri: string, facts: RequestFacts): HeldEntry | null {
    if (this.#store.size === 0 || facts.method !== 'GET' || asksMore(facts)) return null
    for (const name of ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since']) if (facts.has(name)) return null
    const entry = this.#store.find(uri, (name) => facts.header(name))
    return entry && (entry.etag || entry.lastModified !== null) ? heldNow(entry) : null
  }

  #invalidator(uri: string): AnswerFilter {
    const forget = (status: number) => {
      if (status >= 400) return
      this.#removals++
      this.#store.removeUri(uri)
      this.#singleFlight.invalidate(uri)
    }
    return {
      cache: 'none',
      wants(status) {
        forget(status)
        return false
      },
      onHead(status) {
        forget(status)
        return null
      },
      abort() {},
    }
  }

  #filterHost(
    what: { uri: string; target: string; personal: boolean },
    route: LiveRoute,
    facts: RequestFacts,
    sharedFetch: SharedFetch | null,
  ): FilterHost {
    const { uri, target, personal } = what
    // Copy now: when the answer is complete, the facts object may describe another request.
    const client = { scheme: facts.scheme, authority: facts.authority }
    const requestPath = facts.path
    const before = this.#removals
    return {
      maxBytes: this.#maxEntryBytes,
      collect: (bytes) => {
        if (bytes > 0 && this.#collecting + bytes > this.#maxCollecting) return false
        this.#collecting += bytes
        return true
      },
      now: this.#now,
      markUncacheable: () => this.#uncacheable.note(route, client, target, personal, this.#now()),
      send: ({ entry, body }, state) => entry.answer(facts, body, state, this.#now(), route.policy.compression ? this.#compressions : null),
      freshen: (entry, headers, lifetime) => this.#freshen(entry, headers, lifetime),
      origin: (headers) => originOf(uri, route, [requestPath, pathOf(target)], facts, headers),
      store: (origin, status, headers, body, lifetime) => {
        if (sharedFetch ? sharedFetch.invalid : this.#removals !== before) return
        if (this.#store.put(new Entry(origin, status, headers, body, lifetime, this.#now())))
          this.#uncacheable.forget(route, client, target, personal)
      },
    }
  }

  #freshen(entry: Entry, headers: Headers, lifetime: Lifetime | null): void {
    entry.freshen(headers, lifetime, this.#now())
    this.#store.weigh(entry)
  }

  #mayRevalidate(projectId: string): boolean {
    if (this.#revalidating.size >= maxRevalidations) return false
    let ofProject = 0
    for (const { origin } of this.#revalidating) if (origin.projectId === projectId) ofProject++
    return ofProject < maxOfProject
  }

  #revalidate(entry: Entry, route: LiveRoute, target: string, facts: RequestFacts): void {
    if (this.#revalidating.has(entry) || !this.#mayRevalidate(entry.origin.projectId)) return
    this.#revalidating.add(entry)
    const varied = entry.origin.vary.flatMap(({ name, raw }): Headers => (raw === undefined ? [] : [[name, raw]]))
    const headers: Headers = [...varied, ...validatorsOf(entry)]
    const sharedFetch = this.#singleFlight.begin(entry.origin.uri, this.#now())
    const before = this.#removals
    void this.#ask({ route, target, host: facts.authority, scheme: facts.scheme, headers })
      .then((answer) => {
        if (!answer || failures.has(answer.status) || (sharedFetch ? sharedFetch.invalid : this.#removals !== before)) return
        const lifetime = lifetimeOf({ authorized: false }, answer.status === 304 ? entry.status : answer.status, reader(answer.headers))
        if (answer.status === 304) return this.#freshen(entry, answer.headers, lifetime)
        // The 304 names other Vary fields, and the visitor's values for these were not part of the revalidation request.
        const same = varyNames(reader(answer.headers)).join() === entry.origin.vary.map(({ name }) => name).join()
        if (!same || !lifetime || !this.#store.put(new Entry(entry.origin, answer.status, answer.headers, answer.body, lifetime, this.#now())))
          this.#store.remove(entry)
      })
      .catch(() => {})
      .finally(() => {
        this.#revalidating.delete(entry)
        sharedFetch?.finish()
      })
  }
}

const pathOf = (target: string) => {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

function originOf(uri: string, route: LiveRoute, paths: string[], facts: RequestFacts, headers: Headers): EntryOrigin {
  const varied = varyNames(reader(headers)).map((name) => ({ name, normalized: normalizeVaried(name, facts.header(name)), raw: facts.header(name) }))
  return { uri, projectId: route.projectId, paths: [...new Set(paths)], vary: varied }
}

/** Request fields that an answer depends on, sorted. */
function varyNames(read: ReturnType<typeof reader>): string[] {
  const vary = (read('vary') ?? '').toLowerCase().split(',')
  // An encoded answer suits only clients that accept the encoding, whether or not the instance sends Vary.
  if (read('content-encoding') !== undefined) vary.push('accept-encoding')
  return [...new Set(vary.map((name) => name.trim()))].filter((name) => name !== '').sort()
}

function validatorsOf(entry: Entry): Headers {
  const headers: Headers = []
  if (entry.etag) headers.push(['If-None-Match', entry.etag])
  if (entry.lastModified !== null) headers.push(['If-Modified-Since', new Date(entry.lastModified * 1000).toUTCString()])
  return headers
}

/**
 * Whether an answer may depend on more than the address: a range, a body, a protocol upgrade or another method. Such an answer is not
 * shared with other requests.
 */
function asksMore(facts: RequestFacts): boolean {
  for (const name of steering) if (facts.has(name)) return true
  return (facts.has('content-length') && facts.header('content-length') !== '0') || nominatesFields(facts.header('connection'))
}
const steering = ['range', 'transfer-encoding', 'upgrade', 'x-http-method-override', 'x-http-method', 'x-method-override']

/** Signed-in clients usually get personal answers: their requests do not wait for a shared fetch and do not mark the address for others. */
const isPersonal = (facts: RequestFacts) => facts.has('authorization') || facts.has('cookie')
