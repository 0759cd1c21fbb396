import { statfs } from 'node:fs/promises'
import { AppError } from '../errors'

export interface DiskSpace {
  freeBytes: number
  totalBytes: number
}

const lowBytes = 1024 ** 3
const lowShare = 0.03
/** Factor between the limit for starting work that writes and the lower limit for stopping it. */
const refuseFactor = 1.5

/** Space on the file system of a directory that this process may use. */
export async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** Limit of free space: a share of small disks, a fixed amount of large disks. */
const threshold = ({ totalBytes }: DiskSpace): number => Math.min(lowBytes, totalBytes * lowShare)

/** Whether running work that writes must stop. */
export const isLow = (space: DiskSpace): boolean => space.freeBytes < threshold(space)

/** Whether new work that writes must wait. */
export const isTight = (space: DiskSpace): boolean => space.freeBytes < threshold(space) * refuseFactor

/** Whether the error or one of its causes is a full disk or an exhausted quota; Postgres reports it as 53100. */
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

/** The error for a lack of disk space, with the same text everywhere. */
export const diskFullError = (what: string, cause?: unknown): AppError =>
  new AppError('ERR_UNAVAILABLE', `${what}: the disk of this machine is full.`, {
    nextAction: 'Let the operator free space (Settings → Storage shows what takes it), then try again.',
    ...(cause === undefined ? {} : { cause }),
  })
