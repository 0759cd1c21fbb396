import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { LocalAnswer } from '../gate/gate'
import type { ByteRange } from '../http/ranges'
import type { Bytes } from './bytes'

/** Several parts of one representation as one body (RFC 9110 §14.6). */
export interface ByteRanges {
  contentType: string
  length: number
  body: LocalAnswer['body']
}

/** @param type Content-Type of the representation. null: the parts with their delimiters would exceed the whole representation. */
export function byteRanges(ranges: readonly ByteRange[], bytes: Bytes, size: number, type: string): ByteRanges | null {
  const boundary = randomBytes(18).toString('base64url')
  const heads = ranges.map(({ first, last }, at) =>
    Buffer.from(`${at === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`),
  )
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const headBytes = heads.reduce((sum, head) => sum + head.length, end.length)
  const length = ranges.reduce((sum, { first, last }) => sum + last - first + 1, headBytes)
  if (length >= size) return null
  const parts = ranges.map((range, at) => ({ ...range, head: heads[at] as Buffer }))
  const body =
    'memory' in bytes ? inMemory(parts, bytes.memory, end) : { length, open: () => Readable.from(inTurn(parts, bytes, end), { objectMode: false }) }
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, body }
}

interface Part extends ByteRange {
  head: Buffer
}

const inMemory = (parts: readonly Part[], memory: Buffer, end: Buffer) =>
  Buffer.concat([...parts.flatMap(({ head, first, last }) => [head, memory.subarray(first, last + 1)]), end])

async function* inTurn(parts: readonly Part[], file: Exclude<Bytes, { memory: Buffer }>, end: Buffer): AsyncGenerator<Buffer, void> {
  for (const { head, first, last } of parts) {
    yield head
    for await (const piece of file.read(first, last)) yield piece as Buffer
  }
  yield end
}
