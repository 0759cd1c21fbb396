import type { BuildSettings } from '@/shared/build-plan'
import type { BlobStore } from '@/storage/blob-store'
import type { SourceLimits } from './limits'

/** What every way to fetch a source takes. */
export interface FetchOptions {
  /** Where the tree goes: created when missing, must be empty. */
  directory: string
  storage: BlobStore
  limits: SourceLimits
  /** Default: both are fetched. */
  settings?: Pick<BuildSettings, 'submodules' | 'lfs'>
  /** A bare repository kept between fetches of one project, so that only what is new crosses the wire. Safe to delete. */
  mirrorDirectory?: string
  /** Keys of SSH hosts seen before; a key that has changed is refused. Default: kept for this fetch alone. */
  knownHostsFile?: string
  /** A deploy key for ssh addresses. The keys of the user the platform runs as are never offered. */
  sshKeyFile?: string
  /** `unpacker.ts` as one file; without it archives are unpacked by this process. */
  unpackerFile?: string | undefined
  signal?: AbortSignal
  onLog?: (text: string) => void
}
