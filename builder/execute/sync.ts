import { constants } from 'node:fs'
import { chmod, copyFile, lchown, lstat, mkdir, open, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises'
import path from 'node:path'

export interface TreeOwner {
  uid: number
  gid: number
}

/**
 * Makes `to` equal to `from`, except for the directories in `keep` (relative), which contain caches. Equal files are not touched, because some
 * caches depend on modification times. Earlier builds wrote `to`: links are never followed, and files are replaced instead of overwritten.
 */
export async function syncTree(from: string, to: string, options: { keep: readonly string[]; owner: TreeOwner | null }): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  if (options.owner) await lchown(to, options.owner.uid, options.owner.gid)
  await syncDirectory(from, to, '', { keep: new Set(options.keep.map((name) => path.normalize(name).replace(/\/$/, ''))), owner: options.owner })
}

interface Settings {
  keep: ReadonlySet<string>
  owner: TreeOwner | null
}

async function syncDirectory(from: string, to: string, below: string, settings: Settings): Promise<void> {
  const [wanted, found] = await Promise.all([readdir(from, { withFileTypes: true }), readdir(to, { withFileTypes: true })])
  const names = new Set(wanted.map((item) => item.name))
  await inGroups(
    found.filter((item) => !names.has(item.name)),
    (item) => removeUnlessKept(path.join(to, item.name), join(below, item.name), settings.keep, item.isDirectory()),
  )
  await inGroups(wanted, async (item) => {
    const source = path.join(from, item.name)
    const target = path.join(to, item.name)
    if (item.isDirectory()) {
      const there = await lstat(target).catch(() => null)
      if (there && !there.isDirectory()) await rm(target, { force: true })
      if (!there?.isDirectory()) await mkdir(target, { mode: 0o755 })
      if (settings.owner && there?.uid !== settings.owner.uid) await lchown(target, settings.owner.uid, settings.owner.gid)
      await syncDirectory(source, target, join(below, item.name), settings)
    } else if (item.isSymbolicLink()) await syncLink(source, target, settings.owner)
    else if (item.isFile()) await syncFile(source, target, settings.owner)
  })
}

/** Empties a directory, except for kept directories below it. */
async function removeUnlessKept(target: string, relative: string, keep: ReadonlySet<string>, isDirectory: boolean): Promise<void> {
  if (isDirectory && keep.has(relative)) return
  if (!isDirectory || ![...keep].some((name) => name.startsWith(`${relative}/`))) {
    await rm(target, { recursive: true, force: true })
    return
  }
  for (const item of await readdir(target, { withFileTypes: true }))
    await removeUnlessKept(path.join(target, item.name), join(relative, item.name), keep, item.isDirectory())
}

async function syncLink(source: string, target: string, owner: TreeOwner | null): Promise<void> {
  const linkname = await readlink(source)
  if ((await readlink(target).catch(() => null)) === linkname) return
  await rm(target, { recursive: true, force: true })
  await symlink(linkname, target)
  if (owner) await lchown(target, owner.uid, owner.gid)
}

async function syncFile(source: string, target: string, owner: TreeOwner | null): Promise<void> {
  const [wanted, found] = await Promise.all([lstat(source), lstat(target).catch(() => null)])
  const mode = wanted.mode & 0o111 ? 0o755 : 0o644
  // Replace a file with several hard links: another path could modify it.
  if (found?.isFile() && found.size === wanted.size && (found.mode & 0o777) === mode && found.nlink === 1 && (await sameContent(source, target)))
    return
  if (found) await rm(target, { recursive: true, force: true })
  await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await chmod(target, mode)
  if (owner) await lchown(target, owner.uid, owner.gid)
}

const comparedBytes = 4 * 1024 * 1024

async function sameContent(a: string, b: string): Promise<boolean> {
  const handle = await open(b, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { size } = await handle.stat()
    if (size > comparedBytes) return false
    const [left, right] = await Promise.all([readFile(a), handle.readFile()])
    return left.equals(right)
  } finally {
    await handle.close()
  }
}

const join = (below: string, name: string): string => (below ? `${below}/${name}` : name)

async function inGroups<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 32) await Promise.all(items.slice(at, at + 32).map(work))
}
