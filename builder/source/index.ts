import type { SourceSpec, SourceTree } from '@/builder/builder'
import { AppError } from '@/shared/errors'
import type { BlobStore } from '@/storage/blob-store'
import type { SourceLimits } from './limits'

export { defaultSourceLimits, type SourceLimits } from './limits'

export interface FetchOptions {
  /** Where the tree goes: created when missing, must be empty. */
  directory: string
  storage: BlobStore
  limits: SourceLimits
  /** A bare repository kept between fetches of one project, so that only what is new crosses the wire. Safe to delete. */
  mirrorDirectory?: string
  /** A deploy key for ssh addresses. The keys of the user the platform runs as are never offered. */
  sshKeyFile?: string
  signal?: AbortSignal
  onLog?: (text: string) => void
}

/**
 * Puts the files of `spec` into `options.directory`, without `.git`.
 * @throws AppError ERR_SOURCE for everything the person can mend, ERR_CANCELED on abort.
 */
export async function fetchSource(spec: SourceSpec, options: FetchOptions): Promise<SourceTree> {
  throw new AppError('ERR_UNAVAILABLE', `${spec.kind} sources arrive with the next commit`, { cause: options.directory })
}
