import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Encoding } from '../http/encodings'
import { isPublicName } from './public-path'

/** One public file, as found when the directory was read. */
export interface SiteFile {
  /** Path below the public directory, separated by `/`. */
  readonly name: string
  /** Absolute, without symbolic links. */
  readonly file: string
  readonly size: number
  /** Whole seconds since 1970. */
  readonly lastModified: number
}

export interface SiteIndex {
  readonly files: ReadonlyMap<string, SiteFile>
}

export interface SiteLimits {
  entries: number
  depth: number
}
const defaultLimits: SiteLimits = { entries: 250_000, depth: 64 }
const statsAtOnce = 32

/** Suffixes of files that build tools compressed in advance. */
export const siblingSuffix: Record<Encoding, string> = { br: '.br', zstd: '.zst', gzip: '.gz' }

/**
 * Reads a public directory once. Only indexed files are served, so a request never searches the disk: no race between check and open, no
 * `..`, and names are case-sensitive. Symbolic links count as their target if it lies inside the directory.
 * @throws Error when the directory cannot be read, or exceeds the limits.
 */
export async function readSite(directory: string, limits: SiteLimits = defaultLimits): Promise<SiteIndex> {
  const root = await realpath(directory)
  const files = new Map<string, SiteFile>()
  let entries = 0

  /** @param chain parent directories, to detect symbolic links in a loop. */
  async function walk(at: string, below: string, chain: readonly string[]): Promise<void> {
    if (chain.length > limits.depth || chain.includes(at)) return
    const here = [...chain, at]
    const found = (await readdir(at, { withFileTypes: true })).filter((item) => isPublicName(item.name))
    entries += found.length
    if (entries > limits.entries) throw new Error(`${directory} holds more than ${limits.entries} files`)
    for (let from = 0; from < found.length; from += statsAtOnce)
      await Promise.all(found.slice(from, from + statsAtOnce).map((item) => visit(item, at, below, here)))
  }
  async function visit(item: Dirent, at: string, below: string, chain: readonly string[]): Promise<void> {
    const name = below === '' ? item.name : `${below}/${item.name}`
    const file = item.isSymbolicLink() ? await realpath(path.join(at, item.name)).catch(() => null) : path.join(at, item.name)
    if (file === null || !(file === root || file.startsWith(root + path.sep))) return
    if (hasHiddenPart(path.relative(root, file))) return
    if (item.isDirectory()) return walk(file, name, chain)
    const seen = await stat(file).catch(() => null)
    if (seen?.isFile()) files.set(name, { name, file, size: seen.size, lastModified: Math.floor(seen.mtimeMs / 1000) })
    else if (seen?.isDirectory()) await walk(file, name, chain)
  }
  await walk(root, '', [])
  return { files }
}

// A symbolic link with a public name must not lead to a hidden file.
const hasHiddenPart = (relative: string) => relative.split(path.sep).some((part) => !isPublicName(part))

/** The file for a public path (see `publicPath`): the file itself, the page of that name, or the index of a directory. */
export function findFile(site: SiteIndex, wanted: string): SiteFile | null {
  const { files } = site
  if (wanted === '') return files.get('index.html') ?? null
  if (wanted.endsWith('/')) return files.get(`${wanted}index.html`) ?? files.get(`${wanted.slice(0, -1)}.html`) ?? null
  return files.get(wanted) ?? files.get(`${wanted}.html`) ?? files.get(`${wanted}/index.html`) ?? null
}
