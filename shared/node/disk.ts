import { statfs } from 'node:fs/promises'
import { AppError } from '../errors'

export interface DiskSpace {
  freeBytes: number
  totalBytes: number
}

const lowBytes = 1024 ** 3
const lowShare = 0.03
/** Work that writes begins only with somewhat more than what it would be stopped at. */
const refuseFactor = 1.5

/** What is left for us on the file system of a directory. */
export async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** Small disks keep a share, large ones a fixed amount. */
const threshold = ({ totalBytes }: DiskSpace): number => Math.min(lowBytes, totalBytes * lowShare)

/** Work under way that writes has to stop. */
export const isLow = (space: DiskSpace): boolean => space.freeBytes < threshold(space)

/** No work that writes may begin. */
export const isTight = (space: DiskSpace): boolean => space.freeBytes < threshold(space) * refuseFactor

/** Whether a disk or a quota was full, anywhere down the chain of causes; Postgres says it by 53100. */
export function isDiskFull(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 6; current = current.cause, depth++) {
    const { code } = current as { code?: unknown }
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === '53100' || /No space left on device/i.test(current.message)) return true
  }
  return false
}

/** "3.2 GB" */
export function showSize(bytes: number): string {
  if (bytes >= 1024 ** 3) return `${Number((bytes / 1024 ** 3).toFixed(1))} GB`
  return `${Math.max(0, Math.round(bytes / 1024 ** 2))} MB`
}

/** The one sentence by which a lack of space is told everywhere. */
export const diskFullError = (what: string, cause?: unknown): AppError =>
  new AppError('ERR_UNAVAILABLE', `${what}: the disk of this machine is full.`, {
    nextAction: 'Let the operator free space (Settings → Storage shows what takes it), then try again.',
    ...(cause === undefined ? {} : { cause }),
  })
