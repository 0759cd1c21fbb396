import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { isAppError } from '@/shared/errors'
import { createArchiveWriter, type UnpackedTree } from './archive-writer'
import type { SourceLimits } from './limits'
import { sourceError, tooLarge } from './problem'

/** Maximum bytes between two entries: long names and padding need little, while endless zeros and huge headers are refused. */
const maxGapBytes = 5 * 1024 * 1024

const damaged = (cause: unknown) => sourceError('The archive is damaged or no tar or tar.gz', 'Pack the folder again and upload it anew.', cause)
const bomb = () =>
  sourceError('The archive unpacks to far more than it holds, as decompression bombs do', 'Pack the folder again without huge empty files.')

/** Whether the bytes start like gzip. */
const isGzip = (head: Uint8Array) => head[0] === 0x1f && head[1] === 0x8b

/** Yields the tar, decompressed if necessary, within the limits. */
async function* openTar(stored: AsyncIterable<Uint8Array>, limits: SourceLimits): AsyncGenerator<Uint8Array> {
  let packed = 0
  let unpacked = 0
  const counted = (async function* () {
    for await (const chunk of stored) {
      packed += chunk.byteLength
      if (packed > limits.maxFetchBytes) throw tooLarge(limits.maxFetchBytes)
      yield chunk
    }
  })()
  const first = await counted.next()
  if (first.done) throw damaged(new Error('empty'))
  const whole = (async function* () {
    yield first.value
    yield* counted
  })()
  // Add the size of headers and padding.
  const ceiling = limits.maxBytes + 2048 * limits.maxFiles
  for await (const chunk of isGzip(first.value) ? gunzip(whole) : whole) {
    unpacked += chunk.byteLength
    if (unpacked > ceiling) throw tooLarge(limits.maxBytes)
    if (unpacked > limits.ratioFreeBytes && unpacked > packed * limits.maxRatio) throw bomb()
    yield chunk
  }
}

async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip()
  const fed = pipeline(Readable.from(source, { objectMode: false }), unzip)
  fed.catch(() => {})
  try {
    for await (const chunk of unzip) yield chunk as Uint8Array
    await fed
  } finally {
    unzip.destroy()
  }
}

/** Passes `tar` to the parser in chunks; fails when too many bytes contain no entry. */
function createGapGuard(tar: AsyncIterable<Uint8Array>) {
  let sinceProgress = 0
  return {
    progress() {
      sinceProgress = 0
    },
    async *stream(): AsyncGenerator<Uint8Array> {
      for await (const chunk of tar) {
        sinceProgress += chunk.byteLength
        if (sinceProgress > maxGapBytes)
          throw sourceError('The archive holds an endless header or endless padding', 'Pack the folder again and upload it anew.')
        yield chunk
      }
    },
  }
}

/** Unpacks an untrusted tar or tar.gz into `directory`. @throws AppError ERR_SOURCE that names the entry */
export async function unpackArchive(
  stored: AsyncIterable<Uint8Array>,
  { directory, limits }: { directory: string; limits: SourceLimits },
  signal: AbortSignal,
): Promise<UnpackedTree> {
  const writer = createArchiveWriter(directory, limits)
  const guard = createGapGuard(openTar(stored, limits))
  const parser = extract()
  const fed = pipeline(Readable.from(guard.stream(), { objectMode: false }), parser, { signal })
  let failure: unknown
  fed.catch((error: unknown) => {
    failure ??= error
  })
  try {
    for await (const entry of parser) {
      guard.progress()
      const { name, type, mode, size, linkname } = entry.header
      const content = (async function* () {
        for await (const chunk of entry as AsyncIterable<Uint8Array>) {
          guard.progress()
          yield chunk
        }
      })()
      await writer.add({ name, type: type ?? null, mode: mode ?? 0o644, size: size ?? 0, linkname: linkname ?? null }, content)
      entry.resume()
    }
    await fed
  } catch (error) {
    parser.destroy()
    await fed.catch(() => {})
    // The parser reports only that its input ended early; throw the cause.
    throw isAppError(error) ? error : isAppError(failure) ? failure : isDiskError(error) ? error : damaged(failure ?? error)
  }
  return writer.finish()
}

function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
