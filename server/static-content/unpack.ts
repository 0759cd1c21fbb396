import { lstat, mkdir, open, realpath, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream'
import { extract, type Header } from 'tar-stream'
import { AppError, isAppError } from '@/shared/errors'

export interface UnpackLimits {
  entries: number
  bytes: number
}
export const defaultUnpackLimits: UnpackLimits = { entries: 250_000, bytes: 4 * 1024 ** 3 }

/** Files that are synced to disk in parallel. */
const syncsAtOnce = 16

const refuse = (why: string) =>
  new AppError('ERR_START', `The static files of this release are not acceptable: ${why}`, {
    nextAction: 'Deploy again, so that they are built anew.',
  })

type Content = AsyncIterable<Uint8Array> & { resume(): void }

/**
 * Unpacks the entries below `root` of a tar into the new directory `target` and syncs each file to disk. Links are created last, and only
 * if they resolve inside `target`; devices and other special files are skipped.
 * Returns the number of files. Removes everything on failure.
 * @throws ERR_START for an entry outside of the target directory, or a tar beyond the limits
 */
export async function unpackPublicFiles(
  tar: NodeJS.ReadableStream,
  root: string,
  target: string,
  limits: UnpackLimits = defaultUnpackLimits,
): Promise<number> {
  await mkdir(target, { mode: 0o755 })
  const unpacking = new Unpacking(target, limits)
  try {
    const entries = extract()
    let broken: unknown
    pipeline(tar, entries as unknown as NodeJS.WritableStream, (error) => {
      broken ??= error
    })
    try {
      for await (const entry of entries) {
        const name = below(root, entry.header.name)
        if (name !== null) await unpacking.add(name, entry.header, entry as unknown as Content)
        entry.resume()
      }
    } catch (error) {
      throw isAppError(error) || !broken ? error : broken
    }
    return await unpacking.finish()
  } catch (error) {
    await rm(target, { recursive: true, force: true })
    throw error
  }
}

/** The entry's path relative to `root`; null: outside of `root`. @throws ERR_START for a name that escapes the tar (`..`) */
function below(root: string, name: string): string | null {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || name.includes('\0') || parts.includes('..'))
    throw refuse(`the entry ${JSON.stringify(name.slice(0, 200))} leaves its directory`)
  const prefix = root.split('/').filter((part) => part !== '' && part !== '.')
  if (prefix.some((part, at) => parts[at] !== part)) return null
  const rest = parts.slice(prefix.length)
  return rest.length === 0 ? null : rest.join('/')
}

class Unpacking {
  readonly #target: string
  readonly #limits: UnpackLimits
  readonly #links: { at: string; target: string }[] = []
  readonly #directories = new Set<string>()
  readonly #syncing = new Set<Promise<void>>()
  #entries = 0
  #bytes = 0
  #files = 0
  /** Error of the first file that could not be written. */
  #failure: unknown = null

  constructor(target: string, limits: UnpackLimits) {
    this.#target = target
    this.#limits = limits
    this.#directories.add(target)
  }

  async add(name: string, header: Header, content: Content): Promise<void> {
    if (++this.#entries > this.#limits.entries) throw refuse(`more than ${this.#limits.entries} entries`)
    const at = path.join(this.#target, name)
    if (header.type === 'directory') return this.#directory(at)
    await this.#directory(path.dirname(at))
    if (header.type === 'file' || header.type === 'contiguous-file') await this.#file(at, content)
    else if (header.type === 'symlink') this.#links.push({ at, target: header.linkname ?? '' })
  }

  // Links are created after all files, so no parent directory can be a symbolic link to elsewhere.
  async #directory(at: string): Promise<void> {
    if (this.#directories.has(at)) return
    await this.#directory(path.dirname(at))
    await mkdir(at, { mode: 0o755 }).catch(() => {
      throw refuse(`${path.relative(this.#target, at)} is both a file and a directory`)
    })
    this.#directories.add(at)
  }

  async #file(at: string, content: Content): Promise<void> {
    // A later tar entry with the same name replaces the earlier entry.
    await rm(at, { force: true })
    const handle = await open(at, 'wx', 0o644)
    try {
      for await (const chunk of content) {
        this.#bytes += chunk.byteLength
        if (this.#bytes > this.#limits.bytes) throw refuse(`more than ${this.#limits.bytes} bytes`)
        await handle.writeFile(chunk)
      }
    } catch (error) {
      await handle.close()
      throw error
    }
    this.#files++
    while (this.#syncing.size >= syncsAtOnce) await Promise.race(this.#syncing)
    const synced: Promise<void> = handle
      .sync()
      .finally(() => handle.close())
      .catch((error) => {
        this.#failure ??= error
      })
      .finally(() => this.#syncing.delete(synced))
    this.#syncing.add(synced)
  }

  async finish(): Promise<number> {
    await Promise.all([...this.#syncing])
    if (this.#failure !== null) throw this.#failure
    const root = await realpath(this.#target)
    for (const { at, target } of this.#links) await this.#link(root, at, target)
    for (const directory of this.#directories) await syncDirectory(directory)
    return this.#files
  }

  async #link(root: string, at: string, target: string): Promise<void> {
    if (target === '' || target.includes('\0') || path.isAbsolute(target)) return
    const there = await lstat(at).catch(() => null)
    if (there?.isDirectory()) return
    await rm(at, { force: true })
    await symlink(target, at)
    const real = await realpath(at).catch(() => null)
    // Resolve with realpath, not textually: `a/link/..` is not `a` when `link` is a symbolic link.
    if (real === null || !(real === root || real.startsWith(root + path.sep))) await rm(at, { force: true })
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
