import type { SourceSpec, SourceTree } from '@/builder/builder'
import type { BlobStore } from '@/storage/blob-store'
import { fetchArchive } from './archive'
import { fetchGit } from './git'
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
  /** `unpacker.ts` as one file; without it archives are unpacked by this process. */
  unpackerFile?: string | undefined
  signal?: AbortSignal
  onLog?: (text: string) => void
}

/**
 * Puts the files of `spec` into `options.directory`, without `.git`.
 * @throws AppError ERR_SOURCE for everything the person can mend, ERR_CANCELED on abort, ERR_UNAVAILABLE when git is missing.
 */
export async function fetchSource(spec: SourceSpec, options: FetchOptions): Promise<SourceTree> {
  return spec.kind === 'git' ? fetchGit(spec, options) : fetchArchive(spec.digest, options)
}
