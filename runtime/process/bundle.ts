import { chmod, lchown, link, lstat, mkdir, open, readdir, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { AppError, isAppError } from '@/shared/errors'
import { cacheDirectory } from '@/shared/release'
import type { BlobStore } from '@/storage/blob-store'
import { hasCode, isRoot, type Layout } from './layout'

export interface BundleLimits {
  entries: number
  bytes: number
}
export const defaultBundleLimits: BundleLimits = { entries: 400_000, bytes: 4 * 1024 ** 3 }

const refuse = (why: string) =>
  new AppError('ERR_START', `The bundle of this release is not acceptable: ${why}`, { nextAction: 'Deploy again, so that it is built anew.' })

/** Resolves `name` below `root`. Refuses absolute paths and `..` components. */
function inside(root: string, name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || name.includes('\0') || parts.includes('..'))
    throw refuse(`the entry ${JSON.stringify(name.slice(0, 200))} leaves its directory`)
  return path.join(root, ...parts)
}

type Entry = AsyncIterable<Uint8Array> & { resume(): void }

/**
 * Unpacks a tar into `root`, a new directory. Creates symbolic links last, so that no file is written through a link. The files are readable for
 * the group `gid` and writable only for us: a running app cannot change its own release.
 */
class Unpacking {
  private entries = 0
  private bytes = 0
  private readonly links: { at: string; target: string }[] = []
  private readonly directories = new Set<string>()

  constructor(
    private readonly root: string,
    private readonly gid: number,
    private readonly limits: BundleLimits,
  ) {}

  async add(header: Header, content: Entry): Promise<void> {
    if (++this.entries > this.limits.entries) throw refuse(`more than ${this.limits.entries} entries`)
    const at = inside(this.root, header.name)
    if (header.type === 'directory') return this.directory(at)
    await this.directory(path.dirname(at))
    if (header.type === 'file' || header.type === 'contiguous-file') await this.file(at, header, content)
    else if (header.type === 'symlink') this.links.push({ at, target: header.linkname ?? '' })
    else if (header.type === 'link') await this.hardLink(at, inside(this.root, header.linkname ?? ''))
    else throw refuse(`${JSON.stringify(header.name.slice(0, 200))} is a ${header.type}`)
  }

  /** Every parent is a real directory: `mkdir` fails on a file, and links do not exist yet. */
  private async directory(at: string): Promise<void> {
    if (at === this.root || this.directories.has(at)) return
    await this.directory(path.dirname(at))
    try {
      await mkdir(at, { mode: 0o750 })
    } catch (error) {
      if (!hasCode(error, 'EEXIST') || !(await lstat(at)).isDirectory())
        throw refuse(`${path.relative(this.root, at)} is both a file and a directory`)
    }
    await this.own(at)
    this.directories.add(at)
  }

  private async file(at: string, header: Header, content: Entry): Promise<void> {
    // A later entry of the same name replaces the earlier one; `wx` never follows an existing link.
    await rm(at, { force: true })
    const handle = await open(at, 'wx', ((header.mode ?? 0) & 0o111) !== 0 ? 0o750 : 0o640)
    try {
      for await (const chunk of content) {
        this.bytes += chunk.byteLength
        if (this.bytes > this.limits.bytes) throw refuse(`more than ${this.limits.bytes} bytes`)
        let written = 0
        while (written < chunk.byteLength) written += (await handle.write(chunk, written)).bytesWritten
      }
    } finally {
      await handle.close()
    }
    await this.own(at)
  }

  private async hardLink(at: string, target: string): Promise<void> {
    const there = await lstat(target).catch(() => null)
    if (!there?.isFile()) throw refuse(`${path.relative(this.root, at)} links to what is not a file of the bundle`)
    await rm(at, { force: true })
    await link(target, at)
  }

  private async own(at: string): Promise<void> {
    if (isRoot()) await lchown(at, 0, this.gid)
  }

  /** Creates the links. Drops dangling links; refuses the whole bundle if a link leads out of the release. */
  async finish(): Promise<void> {
    for (const { at, target } of this.links) {
      if (target === '' || target.includes('\0') || path.isAbsolute(target))
        throw refuse(`${path.relative(this.root, at)} is a link to ${JSON.stringify(target)}`)
      await rm(at, { force: true }).catch(() => {
        throw refuse(`${path.relative(this.root, at)} is both a link and a directory`)
      })
      await symlink(target, at)
      await this.own(at)
    }
    const root = await realpath(this.root)
    for (const { at } of this.links) {
      const real = await realpath(at).catch(() => null)
      // Resolve with the kernel instead of normalizing the text: `a/b/link/..` differs from `a/b` if `link` is a link.
      if (real === null) await rm(at, { force: true })
      else if (real !== root && !real.startsWith(root + path.sep))
        throw refuse(`${path.relative(this.root, at)} links out of it, to ${await readlink(at)}`)
    }
  }
}

/** Unpacks a tar (zstd) from `source` into the new directory `target`. On failure nothing remains. */
export async function unpackBundle(source: NodeJS.ReadableStream, target: string, gid: number, limits = defaultBundleLimits): Promise<void> {
  await mkdir(target, { mode: 0o750 })
  try {
    if (isRoot()) await lchown(target, 0, gid)
    await chmod(target, 0o750)
    const unpacking = new Unpacking(target, gid, limits)
    const tar = extract()
    let broken: unknown
    pipeline(source, createZstdDecompress(), tar, (error) => {
      broken ??= error
    })
    try {
      for await (const entry of tar) {
        await unpacking.add(entry.header, entry as unknown as Entry)
        entry.resume()
      }
    } catch (error) {
      throw isAppError(error) || !broken ? error : broken
    }
    await unpacking.finish()
  } catch (error) {
    await rm(target, { recursive: true, force: true })
    if (isAppError(error) || hasCode(error, 'ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS')) throw error
    throw refuse(error instanceof Error ? error.message : String(error))
  }
}

/** Unpacks `releases/<timestamp>-<deploymentId>` once for all instances of a deployment, atomically. */
export async function ensureRelease(
  paths: Layout,
  storage: BlobStore,
  what: { projectId: string; deploymentId: string; digest: string; uid: number; gid: number },
): Promise<{ directory: string; created: boolean }> {
  const releases = paths.releases(what.projectId)
  await mkdir(releases, { recursive: true, mode: 0o711 })
  const existing = (await readdir(releases)).find((name) => !name.startsWith('.') && name.slice(name.indexOf('-') + 1) === what.deploymentId)
  if (existing) return { directory: path.join(releases, existing), created: false }
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const directory = path.join(releases, `${timestamp}-${what.deploymentId}`)
  const incoming = path.join(releases, `.${timestamp}-${what.deploymentId}.${process.pid}`)
  await rm(incoming, { recursive: true, force: true })
  await unpackBundle(await storage.get(what.digest), incoming, what.gid)
  await makeCacheDirectory(incoming, what.uid, what.gid)
  await rename(incoming, directory)
  return { directory, created: true }
}

/** Creates the only directory of a release that the app may write to. If mounts are possible, each instance gets its own empty file system there. */
async function makeCacheDirectory(release: string, uid: number, gid: number): Promise<void> {
  let at = release
  for (const part of cacheDirectory.split('/')) {
    at = path.join(at, part)
    await mkdir(at, { mode: 0o750 }).catch((error) => {
      if (!hasCode(error, 'EEXIST')) throw error
    })
    // Refuse a link, because our chown would follow it.
    if (!(await lstat(at)).isDirectory()) throw refuse(`${cacheDirectory} is not a directory`)
    if (isRoot()) await lchown(at, 0, gid)
  }
  if (isRoot()) await lchown(at, uid, gid)
}

/** Replaces the link `current` atomically. */
export async function pointCurrent(paths: Layout, projectId: string, directory: string): Promise<void> {
  const link = paths.current(projectId)
  const temp = `${link}.${process.pid}.${Math.random().toString(36).slice(2)}`
  await symlink(path.join('releases', path.basename(directory)), temp)
  await rename(temp, link)
}

/** Name of the release that `current` refers to. */
export async function currentRelease(paths: Layout, projectId: string): Promise<string | null> {
  return readlink(paths.current(projectId)).then(path.basename, () => null)
}
