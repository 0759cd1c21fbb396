import { PassThrough, Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import type { BlobStore } from '@/storage/blob-store'
import { type ArchiveEntry, archiveBytes } from './archive'

/** Low compression level: bundles are mostly read on the same machine, so speed matters more than size. */
const compressionLevel = 2
const rootOwner = { uid: 0, gid: 0 }

/** Packs entries as tar + zstd into storage. Deterministic. */
export async function storeBundle(
  storage: BlobStore,
  entries: readonly ArchiveEntry[],
  signal: AbortSignal,
): Promise<{ digest: string; sizeBytes: number }> {
  const compressed = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: compressionLevel } })
  return through(Readable.from(archiveBytes(entries, rootOwner), { objectMode: false }), compressed, signal, (content) => storage.put(content))
}

/** Opens the tar in a bundle. */
export async function openBundle(storage: BlobStore, digest: string): Promise<NodeJS.ReadableStream> {
  const output = new PassThrough()
  pipeline(await storage.get(digest), createZstdDecompress(), output).catch((error) =>
    output.destroy(error instanceof Error ? error : new Error(String(error))),
  )
  return output
}

async function through<T>(
  source: Readable,
  transform: Transform,
  signal: AbortSignal,
  consume: (content: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const pumping = pipeline(source, transform, { signal })
  // The consumer gets the same error from the stream.
  pumping.catch(() => {})
  const result = await consume(transform)
  await pumping
  return result
}
