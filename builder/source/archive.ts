import { mkdir } from 'node:fs/promises'
import type { SourceTree } from '@/builder/builder'
import { isAppError } from '@/shared/errors'
import { withDeadline } from '@/shared/node/deadline'
import type { FetchOptions } from './fetch-options'
import { judgeUploadedPointers } from './lfs'
import { canceled, sourceError, tooSlow } from './problem'
import { judgeUploadedSubmodules } from './submodules'
import { unpackArchive } from './unpack'
import { unpackInProcess } from './unpack-process'

const noLog = () => {}

/** Unpacks in a separate process if available: 100,000 small files take a minute of CPU time, which would block the control plane. */
const unpackElsewhere = (stored: AsyncIterable<Uint8Array>, options: FetchOptions, signal: AbortSignal) =>
  options.unpackerFile === undefined ? unpackArchive(stored, options, signal) : unpackInProcess(options.unpackerFile, stored, options, signal)

/** Unpacks an untrusted tar or tar.gz from storage. @throws AppError ERR_SOURCE that names the entry, ERR_CANCELED, ERR_NOT_FOUND */
export async function fetchArchive(digest: string, options: FetchOptions): Promise<SourceTree> {
  const { directory, limits, storage, signal } = options
  if (signal?.aborted) throw canceled()
  await mkdir(directory, { recursive: true })
  const stored = await storage.get(digest)
  try {
    const tree = await withDeadline(
      'Unpacking',
      limits.timeoutMs,
      (inner) => unpackElsewhere(stored as unknown as AsyncIterable<Uint8Array>, options, inner),
      signal,
    )
    if (tree.fileCount === 0) throw sourceError('The archive holds no files', 'Upload the folder of the app.')
    const onLog = options.onLog ?? noLog
    judgeUploadedPointers(tree.pointers, options.settings?.lfs ?? 'fetch', onLog)
    await judgeUploadedSubmodules(directory, options.settings?.submodules ?? 'fetch', onLog)
    onLog(`Unpacked ${tree.fileCount} files`)
    const { treeId, sizeBytes, fileCount } = tree
    return { directory, commit: null, treeId, sizeBytes, fileCount }
  } catch (error) {
    if (signal?.aborted) throw canceled(error)
    if (isAppError(error) && error.code === 'ERR_DEADLINE') throw tooSlow(limits.timeoutMs)
    throw error
  } finally {
    if ('destroy' in stored && typeof stored.destroy === 'function') stored.destroy()
  }
}
