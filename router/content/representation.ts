import { createHash } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { LocalAnswer, RequestFacts, StreamedBody } from '../gate/gate'
import { checkPreconditions, rangeStands } from '../http/conditions'
import type { Encoding } from '../http/encodings'
import { formatHttpDate } from '../http/http-date'
import type { Held } from '../http/memory-bound'
import { type ByteRange, parseRanges } from '../http/ranges'
import { byteRanges } from './byte-ranges'
import type { Bytes } from './bytes'
import { cacheControlOf, contentTypeOf } from './content-type'
import type { SiteFile } from './site-index'

/**
 * One file in one content coding, with prepared answers. Requests without conditions and ranges receive the same answer object each time,
 * without allocation.
 */
export class Representation implements Held {
  readonly encoding: Encoding | null
  readonly etag: string
  readonly size: number
  readonly ok: LocalAnswer
  used = false
  readonly #file: SiteFile
  readonly #bytes: Bytes
  readonly #varies: boolean
  readonly #drop: () => void
  #notModified: LocalAnswer | undefined
  #notFound: LocalAnswer | undefined

  /** @param identity used for the ETag of bytes that are not in memory. */
  constructor(what: { file: SiteFile; encoding: Encoding | null; bytes: Bytes; varies: boolean; identity: string; drop: () => void }) {
    this.#file = what.file
    this.encoding = what.encoding
    this.#bytes = what.bytes
    this.#varies = what.varies
    this.#drop = what.drop
    this.size = 'memory' in what.bytes ? what.bytes.memory.length : what.bytes.size
    this.etag = `"${digest('memory' in what.bytes ? what.bytes.memory : `${what.identity}\0${what.file.name}\0${what.encoding}\0${this.size}`)}"`
    this.ok = this.#whole(200)
  }

  /** Bytes of memory used. */
  get bytes(): number {
    return 'memory' in this.#bytes ? this.size + 2048 : 0
  }

  drop(): void {
    this.#drop()
  }

  /** The answer to `facts`, with conditions and ranges applied (RFC 9110 §13 and §14). */
  answer(facts: RequestFacts): LocalAnswer {
    this.used = true
    if (!asksForMore(facts)) return this.ok
    const validators = { etag: this.etag, lastModified: this.#file.lastModified }
    const header = (name: string) => facts.header(name)
    const verdict = checkPreconditions(header, validators)
    if (verdict === 'not-modified') return this.#unchanged()
    if (verdict === 'failed') return this.#bodiless(412, [])
    const range = facts.header('range')
    if (range === undefined || facts.method !== 'GET' || !rangeStands(facts.header('if-range'), validators)) return this.ok
    return this.#part(range)
  }

  /** The site's own 404 page. */
  notFound(): LocalAnswer {
    this.used = true
    this.#notFound ??= this.#whole(404)
    return this.#notFound
  }

  #part(header: string): LocalAnswer {
    const ranges = parseRanges(header, this.size)
    if (ranges === 'whole') return this.ok
    if (ranges === 'unsatisfiable') return this.#bodiless(416, [['Content-Range', `bytes */${this.size}`]])
    return ranges.length === 1 ? this.#run(ranges[0]) : this.#runs(ranges)
  }

  #run({ first, last }: ByteRange): LocalAnswer {
    const bytes = this.#bytes
    const length = last - first + 1
    const body = 'memory' in bytes ? bytes.memory.subarray(first, last + 1) : { length, open: () => bytes.read(first, last) }
    return finish(206, [...this.#described(length), ['Content-Range', `bytes ${first}-${last}/${this.size}`], ...this.#validators()], body)
  }

  #runs(ranges: readonly ByteRange[]): LocalAnswer {
    const parts = byteRanges(ranges, this.#bytes, this.size, contentTypeOf(this.#file.name))
    if (parts === null) return this.ok
    return finish(206, [...this.#described(parts.length, parts.contentType), ...this.#validators()], parts.body)
  }

  #whole(status: 200 | 404): LocalAnswer {
    const bytes = this.#bytes
    const body: Buffer | StreamedBody = 'memory' in bytes ? bytes.memory : { length: this.size, open: () => bytes.read(0, this.size - 1) }
    const headers = this.#described(this.size)
    if (status === 200) headers.push(['Accept-Ranges', 'bytes'], ...this.#validators())
    else headers.push(['Cache-Control', 'public, max-age=0, must-revalidate'], ...this.#vary())
    return finish(status, headers, body)
  }

  #unchanged(): LocalAnswer {
    this.#notModified ??= finish(304, this.#validators(), null)
    return this.#notModified
  }

  #bodiless(status: number, headers: [string, string][]): LocalAnswer {
    return finish(status, [...headers, ['Content-Length', '0'], ...this.#vary()], null)
  }

  #described(length: number, type = contentTypeOf(this.#file.name)): [string, string][] {
    const headers: [string, string][] = [
      ['Content-Type', type],
      ['Content-Length', String(length)],
    ]
    if (this.encoding) headers.push(['Content-Encoding', this.encoding])
    return headers
  }

  #validators(): [string, string][] {
    const { name, lastModified } = this.#file
    return [['Cache-Control', cacheControlOf(name)], ['ETag', this.etag], ['Last-Modified', formatHttpDate(lastModified)], ...this.#vary()]
  }

  #vary(): [string, string][] {
    return this.#varies ? [['Vary', 'Accept-Encoding']] : []
  }
}

const digest = (content: Buffer | string) => createHash('sha256').update(content).digest('base64url').slice(0, 27)

/** Whether a request has any field that may change a plain 200. */
export function asksForMore(facts: RequestFacts): boolean {
  return (
    facts.header('if-none-match') !== undefined ||
    facts.header('if-modified-since') !== undefined ||
    facts.header('range') !== undefined ||
    facts.header('if-match') !== undefined ||
    facts.header('if-unmodified-since') !== undefined
  )
}

function finish(status: number, headers: [string, string][], body: LocalAnswer['body']): LocalAnswer {
  const reason = STATUS_CODES[status] ?? ''
  const lines = [`HTTP/1.1 ${status} ${reason}`, ...headers.map(([name, value]) => `${name}: ${value}`)]
  return { status, reason, headers, body, head: Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1'), cache: 'static', why: null }
}
