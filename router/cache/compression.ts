import type { Transform } from 'node:stream'
import { constants, createBrotliCompress, createGzip, createZstdCompress } from 'node:zlib'
import type { AnswerFilter, FilterSource, RequestFacts } from '../gate/gate'
import { digests } from '../http/digests'
import { acceptedEncodings, type Encoding, isCompressible, minCompressBytes } from '../http/encodings'
import type { LiveRoute } from '../match/host-table'
import { type Headers, reader } from './entry'
import { isUntransformable } from './freshness'

type Read = (name: string) => string | undefined

/** Concurrent compressions per worker. Further answers are sent uncompressed, which costs bandwidth but no delay. */
const defaultMaxAtOnce = 32
/** Fields that describe the exact bytes of the payload, so they are wrong for the compressed payload. */
const ofTheBytes = new Set(['content-length', 'accept-ranges', ...digests])

/** Compresses answers that an instance sent uncompressed, if the client accepts an encoding and the media type compresses well. */
export class Compression implements FilterSource {
  readonly #maxAtOnce: number
  readonly #filters: Record<Encoding, AnswerFilter>
  #running = 0

  constructor(options: { maxAtOnce?: number } = {}) {
    this.#maxAtOnce = options.maxAtOnce ?? defaultMaxAtOnce
    const filter = (encoding: Encoding) => new CompressingFilter(encoding, () => this.#acquire())
    this.#filters = { br: filter('br'), zstd: filter('zstd'), gzip: filter('gzip') }
  }

  get running(): number {
    return this.#running
  }

  filter(route: LiveRoute, facts: RequestFacts): AnswerFilter | null {
    if (!route.policy.compression || facts.method === 'HEAD') return null
    const encoding = acceptedEncodings(facts.header('accept-encoding'))[0]
    return encoding === undefined ? null : this.#filters[encoding]
  }

  /** Reserves a compression and returns its release function. null: the limit is reached. */
  #acquire(): (() => void) | null {
    if (this.#running >= this.#maxAtOnce) return null
    this.#running++
    let held = true
    return () => {
      if (held) this.#running--
      held = false
    }
  }
}

/** Shared by all answers with the same encoding; the state of a single answer belongs to its coder. */
class CompressingFilter implements AnswerFilter {
  readonly cache = 'none'
  readonly shared = true
  readonly #encoding: Encoding
  readonly #acquire: () => (() => void) | null

  constructor(encoding: Encoding, acquire: () => (() => void) | null) {
    this.#encoding = encoding
    this.#acquire = acquire
  }

  wants(status: number, read: Read, length?: number): boolean {
    if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false
    const bytes = length ?? Number(read('content-length') ?? -1)
    if (bytes >= 0 && bytes < minCompressBytes) return false
    return (
      isCompressible(read('content-type')) &&
      read('content-encoding') === undefined &&
      read('content-range') === undefined &&
      !isUntransformable(read)
    )
  }

  onHead(status: number, headers: Headers): ReturnType<AnswerFilter['onHead']> {
    const read = reader(headers)
    if (!this.wants(status, read)) return null
    const release = this.#acquire()
    if (release === null) return null
    // Without a Content-Length the app may be streaming: flush the coder after every chunk.
    const coder = coderOf(this.#encoding, read('content-length') === undefined)
    coder.once('close', release)
    return { status, headers: codedHeaders(headers, this.#encoding), through: coder }
  }

  abort(): void {}
}

function codedHeaders(headers: Headers, encoding: Encoding): Headers {
  const coded: Headers = []
  let varies = false
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    if (ofTheBytes.has(lower)) continue
    if (lower === 'vary' && /(?:^|[\s,])(?:accept-encoding|\*)(?:$|[\s,])/i.test(value)) varies = true
    coded.push([name, lower === 'etag' && !value.startsWith('W/') ? `W/${value}` : value])
  }
  coded.push(['Content-Encoding', encoding])
  if (!varies) coded.push(['Vary', 'Accept-Encoding'])
  return coded
}

function coderOf(encoding: Encoding, atOnce: boolean): Transform {
  if (encoding === 'gzip') return createGzip({ level: 5, ...(atOnce ? { flush: constants.Z_SYNC_FLUSH } : {}) })
  if (encoding === 'zstd')
    return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 }, ...(atOnce ? { flush: constants.ZSTD_e_flush } : {}) })
  return createBrotliCompress({
    params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 19 },
    ...(atOnce ? { flush: constants.BROTLI_OPERATION_FLUSH } : {}),
  })
}
