import type { SourceSpec, SourceTree } from '@/builder/builder'
import { fetchArchive } from './archive'
import type { FetchOptions } from './fetch-options'
import { fetchGit } from './git'

export type { FetchOptions } from './fetch-options'
export { defaultSourceLimits, type SourceLimits } from './limits'

/**
 * Fetches the files of `spec` into `options.directory`, without `.git`.
 * @throws AppError ERR_SOURCE for problems that the user can solve, ERR_CANCELED on abort, ERR_UNAVAILABLE when git is missing.
 */
export async function fetchSource(spec: SourceSpec, options: FetchOptions): Promise<SourceTree> {
  return spec.kind === 'git' ? fetchGit(spec, options) : fetchArchive(spec.digest, options)
}
