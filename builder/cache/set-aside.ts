import { randomBytes } from 'node:crypto'
import { mkdir, realpath, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { PlanCommand } from '@/shared/build-plan'

// `npm ci` deletes what an earlier install left before it begins. An install without a lock file must not see it: it would keep
// versions that were newest then. Every other command builds on it.
const startsOver =
  /^(npm ci( --include=dev)?|npm install --include=dev|pnpm install --no-frozen-lockfile --prod=false|yarn install (--no-immutable|--production=false))$/

/** Directories that must be gone before the command begins, relative to the plan's root directory. */
export const deletedFirst = (command: PlanCommand): readonly string[] => (startsOver.test(command.command) ? command.cacheDirectories : [])

/**
 * Moves directories that are about to be made anew out of the way, to be removed when nobody waits. On ext4 a deleted inode is not
 * given out again for one to six minutes, and whoever creates a file nearby looks at each of them: `npm ci` over a `node_modules` of
 * 11,000 files spends more time on that than on the install itself (`recently_deleted` in fs/ext4/ialloc.c).
 *
 * To be called while nothing of the project runs. A directory that is reached through a link, or cannot be moved, stays: the install
 * then deletes it as ever.
 */
export async function setAside(checkout: string, directories: readonly string[], aside: string): Promise<void> {
  if (directories.length === 0) return
  await mkdir(aside, { recursive: true, mode: 0o700 })
  const real = await realpath(checkout)
  for (const directory of directories) {
    const parent = path.dirname(path.join(real, directory))
    // The tree is the project's: a link in it could name any directory of this machine.
    const straight = (parent === real || parent.startsWith(`${real}/`)) && (await realpath(parent).catch(() => null)) === parent
    if (straight) await rename(path.join(real, directory), path.join(aside, randomBytes(8).toString('hex'))).catch(() => {})
  }
}

/** Removes what was set aside, `afterMs` from now; what a crash leaves goes with the next one. */
export function removeLater(aside: string, afterMs: number): void {
  setTimeout(() => void rm(aside, { recursive: true, force: true }).catch(() => {}), afterMs).unref()
}
