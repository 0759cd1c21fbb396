import type { BuildSettings } from '@/shared/build-plan'
import type { BlobStore } from '@/storage/blob-store'
import type { SourceLimits } from './limits'

/** Options of all kinds of fetches. */
export interface FetchOptions {
  /** Target directory: created if missing, must be empty. */
  directory: string
  storage: BlobStore
  limits: SourceLimits
  /** Default: both are fetched. */
  settings?: Pick<BuildSettings, 'submodules' | 'lfs'>
  /** Bare repository that is kept between fetches of a project, so that only new objects are transferred. Can be deleted at any time. */
  mirrorDirectory?: string
  /** Known SSH host keys; a changed key is refused. Default: known only during this fetch. */
  knownHostsFile?: string
  /** Deploy key for ssh. Keys of the platform's own user are never offered. */
  sshKeyFile?: string
  /** Bundled file of `unpacker.ts`; without it, archives are unpacked in this process. */
  unpackerFile?: string | undefined
  signal?: AbortSignal
  onLog?: (text: string) => void
}
