import { rm } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { diskSpace, isLow, isTight, showSize } from '@/shared/node/disk'

const checkEveryMs = 500

/** Aborts a build when a disk is nearly full, because the platform uses the same disks. Missing directories are ignored. */
export function watchDisk(directories: readonly string[]): { signal: AbortSignal; check(): Promise<void>; stop(): void } {
  const controller = new AbortController()
  const check = async (directory: string) => {
    if (isLow(await diskSpace(directory))) controller.abort()
  }
  const checkAll = async () => void (await Promise.all(directories.map((directory) => check(directory).catch(() => {}))))
  const timer = setInterval(() => void checkAll(), checkEveryMs)
  timer.unref()
  return { signal: controller.signal, check: checkAll, stop: () => clearInterval(timer) }
}

/** Refuses to start on a nearly full disk. @throws AppError ERR_UNAVAILABLE */
export async function refuseOnTightDisk(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    const space = await diskSpace(directory).catch(() => null)
    if (space && isTight(space))
      throw new AppError(
        'ERR_UNAVAILABLE',
        `The build was not begun: the disk of this machine is nearly full (${showSize(space.freeBytes)} of ${showSize(space.totalBytes)} free at ${directory}).`,
        { step: 'source', nextAction: 'Let the operator free space (Settings → Storage shows what takes it), then deploy again.' },
      )
  }
}

/** Removes the files of a build that was stopped because of the disk: the next build starts without its cache. */
export async function removeWritten(workspaceDirectory: string): Promise<void> {
  // Remove the state file first, because it refers to the other directories.
  for (const name of ['state.json', 'checkout', 'home', 'aside']) await rm(path.join(workspaceDirectory, name), { recursive: true, force: true })
}
