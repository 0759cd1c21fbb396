import { constants } from 'node:fs'
import { lstat, open, readdir, readFile, readlink, realpath } from 'node:fs/promises'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import type { PlanOutput } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import { epochSeconds, type TarHeader, type TarOwner, tarEnd, tarEntrySize, tarHeader, tarPadding } from './tar'

/** An entry of an artifact: a file on disk (`source`), or bytes (`content`). */
export interface ArchiveEntry extends TarHeader {
  source?: string
  content?: Buffer
}

const noFollow = constants.O_RDONLY | constants.O_NOFOLLOW

/**
 * Collects the entries of the artifact, sorted by name; later outputs override earlier ones. Symbolic links are kept and never followed, because
 * the build controls them. @param boundary the whole tree: in a workspace, outputs may lie above the root directory, but not outside the tree.
 * @param isLost whether the target of a link does not exist at run time.
 * @throws AppError ERR_BUILD when an output is missing or outside the boundary, or the target of a link is lost.
 */
export async function collectOutputs(
  boundary: string,
  root: string,
  outputs: readonly PlanOutput[],
  extra: readonly ArchiveEntry[] = [],
  isLost: (target: string) => boolean = (target) => target.startsWith('/'),
): Promise<ArchiveEntry[]> {
  const entries = new Map<string, ArchiveEntry>()
  const put = (entry: ArchiveEntry) => {
    if (entry.type === 'symlink' && isLost(entry.linkname ?? '')) throw lostLink(entry)
    addParents(entries, entry.name)
    entries.set(entry.name, entry)
  }
  for (const output of outputs) {
    const from = await outputPath(boundary, path.join(root, output.from), output.from)
    const excluded = new Set(output.exclude)
    const to = output.to === '.' ? '' : output.to.replace(/^\.\/|\/+$/g, '')
    const stat = await lstat(from)
    if (stat.isDirectory()) {
      if (to) put({ name: to, type: 'directory', mode: 0o755, size: 0 })
      await walk(from, to, '', excluded, put)
    } else if (stat.isFile()) put(fileEntry(to || path.basename(from), from, stat))
  }
  for (const entry of extra) put(entry)
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function outputPath(root: string, wanted: string, from: string): Promise<string> {
  const [realRoot, real] = await Promise.all([realpath(root), realpath(wanted).catch(() => null)])
  if (real === null)
    throw new AppError('ERR_BUILD', `The build ended, but it did not make "${from}".`, {
      step: 'package',
      nextAction: 'Check the build command, or set the output directory of the project to where the build writes.',
    })
  if (real !== realRoot && !real.startsWith(`${realRoot}/`))
    throw new AppError('ERR_BUILD', `The output directory "${from}" points outside the project.`, {
      step: 'package',
      nextAction: 'Write the output below the root directory.',
    })
  return real
}

/** An absolute link refers to a path of the build environment, which does not exist at run time. */
function lostLink(entry: ArchiveEntry): AppError {
  return new AppError('ERR_BUILD', `The output has a link by an absolute path: "${entry.name}" → "${entry.linkname}".`, {
    step: 'package',
    nextAction: 'Make the build write a relative link, or copy what it points to: absolute paths of the build do not exist where the app runs.',
  })
}

function addParents(entries: Map<string, ArchiveEntry>, name: string): void {
  const parts = name.split('/').slice(0, -1)
  for (let depth = 1; depth <= parts.length; depth++) {
    const parent = parts.slice(0, depth).join('/')
    if (entries.get(parent)?.type !== 'directory') entries.set(parent, { name: parent, type: 'directory', mode: 0o755, size: 0 })
  }
}

async function walk(directory: string, to: string, below: string, excluded: ReadonlySet<string>, put: (entry: ArchiveEntry) => void): Promise<void> {
  const found = await readdir(directory, { withFileTypes: true })
  await inGroups(found, 64, async (item) => {
    const relative = below ? `${below}/${item.name}` : item.name
    if (excluded.has(relative) || excluded.has(item.name)) return
    const source = path.join(directory, item.name)
    const name = to ? `${to}/${relative}` : relative
    if (item.isDirectory()) {
      put({ name, type: 'directory', mode: 0o755, size: 0 })
      await walk(source, to, relative, excluded, put)
    } else if (item.isSymbolicLink()) put({ name, type: 'symlink', mode: 0o777, size: 0, linkname: await readlink(source) })
    else if (item.isFile()) put(fileEntry(name, source, await lstat(source)))
    // Omit sockets, pipes and devices.
  })
}

function fileEntry(name: string, source: string, stat: { mode: number; size: number }): ArchiveEntry {
  return { name, type: 'file', mode: stat.mode & 0o111 ? 0o755 : 0o644, size: stat.size, source }
}

async function inGroups<T>(items: readonly T[], size: number, work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(work))
}

/** Everything in a directory of the platform, as entries below `to`. */
export async function directoryEntries(directory: string, to: string): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [{ name: to, type: 'directory', mode: 0o755, size: 0 }]
  await walk(directory, to, '', new Set(), (entry) => void entries.push(entry))
  return entries
}

/** The same entries one directory down. */
export function underDirectory(entries: readonly ArchiveEntry[], directory: string): ArchiveEntry[] {
  return [{ name: directory, type: 'directory', mode: 0o755, size: 0 }, ...entries.map((entry) => ({ ...entry, name: `${directory}/${entry.name}` }))]
}

/** Size of the archive that `archiveBytes` produces. */
export function archiveSize(entries: readonly ArchiveEntry[]): number {
  return entries.reduce((sum, entry) => sum + tarEntrySize(entry), tarEnd.length)
}

const smallFile = 1024 * 1024
const windowBytes = 4 * 1024 * 1024

/** Tar of the entries in order. Prefetches small files; reads large files in pieces. */
export async function* archiveBytes(entries: readonly ArchiveEntry[], owner: TarOwner): AsyncGenerator<Buffer> {
  const windows = splitWindows(entries)
  let ahead = windows[0] ? readWindow(windows[0], owner) : null
  for (let at = 0; at < windows.length; at++) {
    const ready = await ahead
    const next = windows[at + 1]
    ahead = next ? readWindow(next, owner) : null
    // If the reader stops early, the rejection of the prefetch must not be unhandled.
    ahead?.catch(() => {})
    if (ready) yield ready
    else yield* readLarge(windows[at]?.[0] as ArchiveEntry, owner)
  }
  yield tarEnd
}

function splitWindows(entries: readonly ArchiveEntry[]): ArchiveEntry[][] {
  const windows: ArchiveEntry[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const entry of entries) {
    const large = entry.size > smallFile
    const last = windows.at(-1)
    if (large || !last || bytes + entry.size > windowBytes || last.length >= 256) windows.push([entry])
    else last.push(entry)
    bytes = large ? Number.POSITIVE_INFINITY : windows.at(-1)?.length === 1 ? entry.size : bytes + entry.size
  }
  return windows
}

/** Reads a window of small files at once; null: a large file, to be read in pieces. */
async function readWindow(window: readonly ArchiveEntry[], owner: TarOwner): Promise<Buffer | null> {
  if ((window[0]?.size ?? 0) > smallFile) return null
  const parts = await Promise.all(
    window.map(async (entry) => {
      if (entry.type !== 'file') return [tarHeader(entry, owner)]
      const body = entry.content ?? (await readFile(entry.source as string, { flag: noFollow }))
      if (body.length !== entry.size) throw changed(entry)
      return [tarHeader({ ...entry, mtime: contentTime(crc32(body)) }, owner), body, tarPadding(body.length)]
    }),
  )
  return Buffer.concat(parts.flat())
}

async function* readLarge(entry: ArchiveEntry, owner: TarOwner): AsyncGenerator<Buffer> {
  let sum = 0
  for await (const chunk of pieces(entry)) sum = crc32(chunk, sum)
  yield tarHeader({ ...entry, mtime: contentTime(sum) }, owner)
  yield* pieces(entry)
  yield tarPadding(entry.size)
}

async function* pieces(entry: ArchiveEntry): AsyncGenerator<Buffer> {
  if (entry.content) return yield entry.content
  const handle = await open(entry.source as string, noFollow)
  try {
    let left = entry.size
    while (left > 0) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Math.min(smallFile, left)), 0, Math.min(smallFile, left))
      if (bytesRead === 0) throw changed(entry)
      left -= bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

const timeRangeSeconds = 45 * 365 * 86_400

/**
 * Modification time derived from the content: equal trees give equal archives, and servers whose ETag is size and time (`send`, `sirv`, nginx)
 * still detect a changed file of the same size.
 */
function contentTime(sum: number): number {
  return epochSeconds + (sum % timeRangeSeconds)
}

function changed(entry: ArchiveEntry): AppError {
  return new AppError('ERR_BUILD', `"${entry.name}" changed while it was packed.`, {
    step: 'package',
    nextAction: 'Make the build command wait for what it started.',
  })
}
