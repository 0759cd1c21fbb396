import { promisify } from 'node:util'
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib'
import type { Encoding } from './encodings'

const brotli = promisify(brotliCompress)
const zip = promisify(gzip)
const zstd = promisify(zstdCompress)

/** `thorough`: for files that are compressed once and sent often. `quick`: for answers that are sent a few times. */
export type Effort = 'thorough' | 'quick'
const quality: Record<Effort, Record<Encoding, number>> = { thorough: { br: 9, zstd: 12, gzip: 9 }, quick: { br: 5, zstd: 6, gzip: 6 } }

/** Compresses a whole buffer off the main thread. */
export function compressWhole(plain: Buffer, encoding: Encoding, effort: Effort): Promise<Buffer> {
  const level = quality[effort][encoding]
  if (encoding === 'gzip') return zip(plain, { level })
  if (encoding === 'zstd') return zstd(plain, { params: { [constants.ZSTD_c_compressionLevel]: level } })
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_MODE, BROTLI_MODE_TEXT, BROTLI_PARAM_SIZE_HINT } = constants
  return brotli(plain, {
    params: { [BROTLI_PARAM_QUALITY]: level, [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT, [BROTLI_PARAM_SIZE_HINT]: plain.length },
  })
}
