import { Readable } from 'node:stream'
import { createZstdCompress } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import type { Artifact } from '@/shared/release'
import type { BlobStore } from '@/storage/blob-store'
import { testApp } from './app'

export type BundleEntry = Partial<Header> & { name: string; content?: string }

/** Packs entries into a tar (zstd). */
export function tarOf(entries: BundleEntry[]): AsyncIterable<Uint8Array> {
  const tar = pack()
  for (const { content, ...header } of entries) tar.entry(header as Header, content ?? '')
  tar.finalize()
  return Readable.from(tar).pipe(createZstdCompress())
}

/** The test app as an artifact of the process runtime. */
export async function testBundle(storage: BlobStore, extra: BundleEntry[] = []): Promise<Artifact> {
  const { digest, sizeBytes } = await storage.put(tarOf([{ name: 'server.cjs', content: testApp }, ...extra]))
  return {
    kind: 'bundle',
    digest,
    sizeBytes,
    framework: 'node',
    start: { argv: ['node', 'server.cjs'], env: {} },
    port: 3000,
    healthCheckPath: '/',
    nodeVersion: null,
    packageManager: null,
  }
}
