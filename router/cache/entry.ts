import { STATUS_CODES } from 'node:http'
import type { LocalAnswer, RequestFacts } from '../gate/gate'
import { compressWhole } from '../http/compress'
import { checkPreconditions, rangeStands } from '../http/conditions'
import { contentDigests, digests } from '../http/digests'
import { acceptedEncodings, type Encoding, encodingVariant, isCompressible, minCompressBytes } from '../http/encodings'
import { parseHttpDate } from '../http/http-date'
import { parseRange } from '../http/ranges'
import type { WorkQueue } from '../http/work-queue'
import { heldByKey, initialAgeMs, isUnshared, isUntransformable, type Lifetime, tagsOf } from './freshness'

export type Headers = [string, string][]
export type EntryState = 'hit' | 'stale' | 'revalidated' | 'miss'

/** Returns a function that reads a header by name; repeated lines are joined by `, `. */
export const reader = (headers: Headers) => (name: string) => {
  let found: string | undefined
  for (const [key, value] of headers) if (key.toLowerCase() === name) found = found === undefined ? value : `${found}, ${value}`
  return found
}

/** Fields that describe a single transfer, or that the router adds to every answer. */
const perTransfer = new Set(['age', 'content-length', 'connection', 'keep-alive', 'transfer-encoding', 'trailer', 'date', 'cache-status', 'x-cache'])
/** Fields that describe a body: a 304 has no body, so these must not replace the stored fields. */
const bodyFields = new Set(['content-encoding', 'content-type', 'content-range', 'etag'])
const dead: Lifetime = { freshMs: 0, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }

export interface EntryOrigin {
  /** Scheme, host, deployment and target. */
  uri: string
  projectId: string
  /** Paths as sent by the visitor and as sent to the instance, without query; a purge can name either. */
  paths: string[]
  /** Request fields named by Vary: the normalized value for comparisons, the raw value for revalidation requests. */
  vary: { name: string; normalized: string; raw: string | undefined }[]
}

/** A stored answer: the payload as the instance sent it, and the encoded variants made from it. */
export class Entry {
  readonly origin: EntryOrigin
  readonly status: number
  readonly bodyBytes: number
  headers: Headers = []
  lifetime: Lifetime
  tags: string[] = []
  etag: string | null = null
  lastModified: number | null = null
  /** null: the payload is on disk. */
  body: Buffer | null
  #storedAt: number
  #initialAge = 0
  #transformable = true
  readonly #coded = new Map<Encoding, Buffer>()
  readonly #coding = new Set<Encoding>()
  readonly #made = new Map<string, { age: number; answer: LocalAnswer }>()

  constructor(origin: EntryOrigin, status: number, headers: Headers, body: Buffer, lifetime: Lifetime, now: number) {
    this.origin = origin
    this.status = status
    this.body = body
    this.bodyBytes = body.length
    this.lifetime = lifetime
    this.#storedAt = now
    this.#describe(headers)
  }

  #describe(headers: Headers): void {
    this.headers = headers.filter(([name]) => !perTransfer.has(name.toLowerCase()))
    const read = reader(headers)
    this.etag = read('etag') ?? null
    this.lastModified = parseHttpDate(read('last-modified'))
    this.tags = tagsOf(read)
    this.#initialAge = initialAgeMs(read)
    this.#transformable = !isUntransformable(read)
    this.#made.clear()
  }

  /** Estimated memory of the payload with its encoded variants. */
  get heldBytes(): number {
    return this.describedBytes + Math.ceil(this.bodyBytes * 1.6)
  }

  /** Memory that stays in use while the payload is on disk: addresses and fields have lengths chosen by visitors and instances. */
  get describedBytes(): number {
    const { uri, paths, vary } = this.origin
    let bytes = 2048 + 2 * uri.length
    for (const path of paths) bytes += path.length
    for (const { raw } of vary) bytes += 2 * (raw?.length ?? 0)
    // Headers are kept as pairs and as encoded bytes for each HTTP version.
    for (const [name, value] of this.headers) bytes += 4 * (name.length + value.length)
    return bytes
  }

  /** Drops the payload from memory; the caller has stored it elsewhere. */
  unload(): void {
    this.body = null
    this.#coded.clear()
    this.#made.clear()
  }

  ageMs(now: number): number {
    return this.#initialAge + now - this.#storedAt
  }

  /** `dead`: must be revalidated before use. */
  usability(now: number): 'fresh' | 'stale-while-revalidate' | 'dead' {
    const over = this.ageMs(now) - this.lifetime.freshMs
    return over < 0 ? 'fresh' : over < this.lifetime.staleWhileRevalidateMs ? 'stale-while-revalidate' : 'dead'
  }

  mayReplaceError(now: number): boolean {
    const over = this.ageMs(now) - this.lifetime.freshMs
    return over < Math.max(this.lifetime.staleIfErrorMs, this.lifetime.staleWhileRevalidateMs)
  }

  matches(header: (name: string) => string | undefined): boolean {
    return this.origin.vary.every(({ name, normalized }) => normalizeVaried(name, header(name)) === normalized)
  }

  /**
   * Applies a 304: restarts the freshness lifetime and updates the stored fields (RFC 9111 §4.3.4), except cookies, which belong to one
   * visitor. If the 304 forbids sharing, the entry must be revalidated before every use.
   */
  freshen(headers: Headers, lifetime: Lifetime | null, now: number): void {
    const news = headers.filter(([name]) => !perTransfer.has(name.toLowerCase()) && !bodyFields.has(name.toLowerCase()) && !isCookie(name))
    const replaced = new Set(news.map(([name]) => name.toLowerCase()))
    const age = headers.filter(([name]) => name.toLowerCase() === 'age')
    this.#describe([...this.headers.filter(([name]) => !replaced.has(name.toLowerCase())), ...news, ...age])
    this.lifetime = isUnshared(reader(headers)) ? dead : (lifetime ?? this.lifetime)
    this.#storedAt = now
  }

  /**
   * The answer to this request, with its conditions and range applied. `body`: the payload, from memory or disk.
   * @param compress queue for making the encoding that the client accepts, used by later requests; null: make no encoded variant.
   */
  answer(facts: RequestFacts, body: Buffer, state: EntryState, now: number, compress: WorkQueue | null): LocalAnswer {
    const coding = this.#choose(facts, body, compress)
    const age = Math.floor(this.ageMs(now) / 1000)
    const key = `${state} ${coding}`
    const made = this.#made.get(key)
    const whole = made?.age === age ? made.answer : this.#whole(body, coding, state, age)
    // Do not cache answers of entries on disk: that would keep the payload in memory.
    if (whole !== made?.answer && this.body !== null) this.#made.set(key, { age, answer: whole })
    if (this.status !== 200) return whole
    return this.#conditional(whole, facts, coding)
  }

  #whole(plain: Buffer, coding: Encoding | null, state: EntryState, age: number): LocalAnswer {
    const body = coding ? (this.#coded.get(coding) ?? plain) : plain
    const headers: Headers = []
    for (const [name, value] of this.headers) {
      const lower = name.toLowerCase()
      if (coding && digests.has(lower)) continue
      // Encoded bytes differ from the original: the ETag becomes weak.
      if (coding && lower === 'etag') headers.push([name, value.startsWith('W/') ? value : `W/${value}`])
      else headers.push([name, value])
    }
    if (coding) headers.push(['Content-Encoding', coding])
    if (this.#mayBeCoded(plain)) addVary(headers)
    if (this.status !== 204) headers.push(['Content-Length', String(body.length)])
    const ttl = Math.ceil(this.lifetime.freshMs / 1000) - age
    headers.push(['Age', String(age)], ['Cache-Status', cacheStatus(state, ttl)])
    return finish(this.status, headers, this.status === 204 ? null : body, state)
  }

  #conditional(whole: LocalAnswer, facts: RequestFacts, coding: Encoding | null): LocalAnswer {
    const validators = { etag: this.etag && coding ? `W/${this.etag.replace(/^W\//, '')}` : this.etag, lastModified: this.lastModified }
    const header = (name: string) => facts.header(name)
    const verdict = checkPreconditions(header, validators)
    const without = (names: string[]) => whole.headers.filter(([name]) => !names.includes(name.toLowerCase()))
    const state = whole.cache as EntryState
    if (verdict === 'not-modified') return finish(304, without(['content-length', 'content-type', 'content-encoding']), null, state)
    if (verdict === 'failed') return finish(412, [['Content-Length', '0']], null, state)
    const range = facts.header('range')
    const body = whole.body as Buffer
    if (range === undefined || facts.method !== 'GET' || !rangeStands(facts.header('if-range'), validators)) return whole
    const part = parseRange(range, body.length)
    if (part === 'whole') return whole
    if (part === 'unsatisfiable')
      return finish(
        416,
        [
          ['Content-Range', `bytes */${body.length}`],
          ['Content-Length', '0'],
        ],
        null,
        state,
      )
    const length = part.last - part.first + 1
    const headers: Headers = [
      ...without(['content-length', ...contentDigests]),
      ['Content-Length', String(length)],
      ['Content-Range', `bytes ${part.first}-${part.last}/${body.length}`],
    ]
    return finish(206, headers, body.subarray(part.first, part.last + 1), state)
  }

  #mayBeCoded(body: Buffer): boolean {
    const read = reader(this.headers)
    return (
      this.#transformable &&
      this.status === 200 &&
      body.length >= minCompressBytes &&
      read('content-encoding') === undefined &&
      isCompressible(read('content-type'))
    )
  }

  #choose(facts: RequestFacts, body: Buffer, compress: WorkQueue | null): Encoding | null {
    if (compress === null || facts.header('range') !== undefined || !this.#mayBeCoded(body)) return null
    const accepted = acceptedEncodings(facts.header('accept-encoding'))
    for (const encoding of accepted) if (this.#coded.has(encoding)) return encoding
    const wanted = accepted[0]
    if (wanted !== undefined && !this.#coding.has(wanted)) this.#code(wanted, compress)
    return null
  }

  #code(encoding: Encoding, queue: WorkQueue): void {
    this.#coding.add(encoding)
    const work = async () => {
      try {
        // Read the payload when the job runs: a queued job must not keep an evicted payload in memory.
        const plain = this.body
        const coded = plain && (await compressWhole(plain, encoding, 'quick'))
        if (coded !== null && this.body !== null) this.#coded.set(encoding, coded)
      } finally {
        this.#coding.delete(encoding)
      }
    }
    if (!queue.add(work)) this.#coding.delete(encoding)
  }
}

export const isCookie = (name: string) => name.toLowerCase() === 'set-cookie'

function addVary(headers: Headers): void {
  const at = headers.findIndex(([name]) => name.toLowerCase() === 'vary')
  const value = headers[at]?.[1]
  if (value === undefined) headers.push(['Vary', 'Accept-Encoding'])
  else if (!/\baccept-encoding\b/i.test(value)) headers[at] = ['Vary', `${value}, Accept-Encoding`]
}

/** Value of the Cache-Status field (RFC 9211): what this cache did with the request. */
export function cacheStatus(state: EntryState, ttl: number): string {
  if (state === 'miss') return 'switchyard; fwd=uri-miss; stored'
  if (state === 'revalidated') return `switchyard; hit; fwd=stale; fwd-status=304; ttl=${ttl}`
  return `switchyard; hit; ttl=${ttl}`
}

/** Normalizes a request field for Vary: Accept-Encoding values that select the same encoding share one variant. */
export function normalizeVaried(name: string, value: string | undefined): string {
  if (name === 'accept-encoding') return encodingVariant(value)
  // The router sets this field itself, so the client's value is irrelevant.
  if (heldByKey.has(name)) return ''
  return (value ?? '').trim().replace(/\s+/g, ' ')
}

function finish(status: number, headers: Headers, body: Buffer | null, cache: EntryState): LocalAnswer {
  const reason = STATUS_CODES[status] ?? ''
  const lines = [`HTTP/1.1 ${status} ${reason}`, ...headers.map(([name, value]) => `${name}: ${value}`)]
  return { status, reason, headers, body, head: Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1'), cache, why: null }
}
