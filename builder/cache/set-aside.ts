import { randomBytes } from 'node:crypto'
import { mkdir, realpath, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { PlanCommand } from '@/shared/build-plan'

// `npm ci` deletes `node_modules` before it installs. An install without a lock file must not see it either, because npm would keep the old
// versions. All other commands reuse it.
const startsOver =
  /^(npm ci( --include=dev)?|npm install --include=dev|pnpm install --no-frozen-lockfile --prod=false|yarn install (--no-immutable|--production=false))$/

/** Directories that must not exist before the command, relative to the plan's root directory. */
export const deletedFirst = (command: PlanCommand): readonly string[] => (startsOver.test(command.command) ? command.cacheDirectories : [])

/**
 * Moves directories aside instead of deleting them before an install; they are removed later. On ext4 a deleted inode is not reused for one to
 * six minutes, and each file creation nearby scans these inodes: `npm ci` over a `node_modules` of 11,000 files spends more time on that than on
 * the install (`recently_deleted` in fs/ext4/ialloc.c). Call this while nothing of the project runs. A directory behind a link, or one that
 * cannot be moved, stays, and the install deletes it.
 */
export async function setAside(checkout: string, directories: readonly string[], aside: string): Promise<void> {
  if (directories.length === 0) return
  await mkdir(aside, { recursive: true, mode: 0o700 })
  const real = await realpath(checkout)
  for (const directory of directories) {
    const parent = path.dirname(path.join(real, directory))
    // The project controls the tree: a link in it could refer to any directory of this machine.
    const straight = (parent === real || parent.startsWith(`${real}/`)) && (await realpath(parent).catch(() => null)) === parent
    if (straight) await rename(path.join(real, directory), path.join(aside, randomBytes(8).toString('hex'))).catch(() => {})
  }
}

/** Removes a moved directory after `afterMs`. After a crash, the next call removes it. */
export function removeLater(aside: string, afterMs: number): void {
  setTimeout(() => void rm(aside, { recursive: true, force: true }).catch(() => {}), afterMs).unref()
}
