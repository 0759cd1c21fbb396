/**
 * Bytes by digest (`sha256:` + 64 hex digits). One contract suite (`storage/contract.ts`) for every driver.
 * A blob is there whole or not at all; putting the same bytes twice stores them once.
 */
export interface BlobStore {
  /** Consumes the stream. @throws AppError ERR_TOO_LARGE past `maxBytes` (nothing is kept), ERR_INVALID_INPUT when `expectDigest` differs. */
  put(content: AsyncIterable<Uint8Array>, options?: { maxBytes?: number; expectDigest?: string }): Promise<{ digest: string; sizeBytes: number }>
  /** @throws AppError ERR_NOT_FOUND */
  get(digest: string): Promise<NodeJS.ReadableStream>
  stat(digest: string): Promise<{ sizeBytes: number } | null>
  /** Unknown digest: no error. */
  remove(digest: string): Promise<void>
}
