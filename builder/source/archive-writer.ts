import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, mkdir, open, symlink } from 'node:fs/promises'
import path from 'node:path'
import { createPointerSummary, mayBePointer, type PointerSummary, parsePointer } from './lfs'
import type { SourceLimits } from './limits'
import { type Node, staysInside } from './links'
import { showName, sourceError, tooLarge, tooManyFiles } from './problem'

/** Result of unpacking. */
export interface UnpackedTree {
  treeId: string
  sizeBytes: number
  fileCount: number
  pointers: PointerSummary
}

/** An entry according to its header in the archive. */
export interface EntryHeader {
  name: string
  type: string | null
  mode: number
  size: number
  linkname: string | null
}

type Written = { mode: '100644' | '100755'; hash: string; sizeBytes: number } | { mode: '120000'; target: string }

const refuse = (name: string, why: string) =>
  sourceError(
    `The archive is refused: “${showName(name)}” ${why}`,
    'Pack the folder again with plain files and folders, and links that stay inside it.',
  )

/** Normalizes the path of an entry; null: the root itself. @throws AppError ERR_SOURCE for paths outside the root. */
export function entryPath(name: string, limits: SourceLimits): string | null {
  if (name.includes('\0')) throw refuse(name, 'has a NUL character in its name')
  if (name.startsWith('/')) throw refuse(name, 'has an absolute path')
  if (name.includes('\\')) throw refuse(name, 'has a backslash in its path')
  if (/^[A-Za-z]:/.test(name)) throw refuse(name, 'has a drive letter in its path')
  if (Buffer.byteLength(name) > limits.maxPathBytes) throw refuse(name, `has a path longer than ${limits.maxPathBytes} bytes`)
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  for (const part of parts) {
    if (part === '..') throw refuse(name, 'leads out of the folder')
    if (Buffer.byteLength(part) > 255) throw refuse(name, 'has a name longer than 255 bytes')
  }
  return parts.length === 0 ? null : parts.join('/')
}

/**
 * Writes entries below the empty directory `root`. Trusts no path of the archive: parents must be directories created by this writer, files are
 * created with O_EXCL, and links are created last, after each was resolved through all others.
 */
export function createArchiveWriter(root: string, limits: SourceLimits) {
  const nodes = new Map<string, Node>()
  const folded = new Map<string, string>()
  const written = new Map<string, Written>()
  const pointers = createPointerSummary()
  let sizeBytes = 0

  const locate = (name: string) => path.join(root, name)

  /** Registers a path once. Refuses paths that differ only in case if one of them is not a plain file. */
  function claim(name: string, node: Node): void {
    if (nodes.size >= limits.maxFiles) throw tooManyFiles(limits.maxFiles)
    const existing = nodes.get(name)
    if (existing)
      throw refuse(name, existing.kind === 'directory' || node.kind === 'directory' ? 'is both a folder and something else' : 'is there twice')
    const fold = name.normalize('NFC').toLowerCase()
    const twin = folded.get(fold)
    if (twin !== undefined && !(nodes.get(twin)?.kind === 'file' && node.kind === 'file'))
      throw refuse(name, `differs from “${showName(twin)}” only in the case of letters`)
    folded.set(fold, name)
    nodes.set(name, node)
  }

  async function ensureDirectory(name: string, entry: string): Promise<void> {
    if (name === '.' || name === '') return
    const node = nodes.get(name)
    if (node?.kind === 'directory') return
    if (node)
      throw refuse(entry, node.kind === 'link' ? `goes through the link “${showName(name)}”` : `has the file “${showName(name)}” as its folder`)
    await ensureDirectory(path.posix.dirname(name), entry)
    claim(name, { kind: 'directory' })
    await mkdir(locate(name), { mode: 0o755 })
  }

  function count(bytes: number): void {
    sizeBytes += bytes
    if (sizeBytes > limits.maxBytes) throw tooLarge(limits.maxBytes)
  }

  async function writeFile(name: string, header: EntryHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
    // Check the size in the header before writing; written bytes are counted as well.
    if (sizeBytes + header.size > limits.maxBytes) throw tooLarge(limits.maxBytes)
    claim(name, { kind: 'file' })
    // Drop the setuid, setgid and write bits of group and others.
    const isExecutable = (header.mode & 0o111) !== 0
    const handle = await open(
      locate(name),
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      isExecutable ? 0o755 : 0o644,
    )
    const hash: Hash = createHash('sha256')
    let fileBytes = 0
    const head: Uint8Array[] = []
    try {
      for await (const chunk of content) {
        count(chunk.byteLength)
        fileBytes += chunk.byteLength
        hash.update(chunk)
        if (mayBePointer(header.size)) head.push(chunk)
        let offset = 0
        while (offset < chunk.byteLength) offset += (await handle.write(chunk, offset)).bytesWritten
      }
    } finally {
      await handle.close()
    }
    const pointer = parsePointer(Buffer.concat(head).toString('utf8'))
    if (pointer) pointers.add({ name, ...pointer })
    written.set(name, { mode: isExecutable ? '100755' : '100644', hash: hash.digest('hex'), sizeBytes: fileBytes })
  }

  /** Copies the target of a hard link: with two names for one inode, a build could change one file through the other. */
  async function copyLinked(name: string, header: EntryHeader): Promise<void> {
    const target = entryPath(header.linkname ?? '', limits)
    const source = target === null ? undefined : written.get(target)
    if (target === null || source === undefined || source.mode === '120000')
      throw refuse(name, 'is a hard link to something that is not a file of the archive')
    count(source.sizeBytes)
    claim(name, { kind: 'file' })
    await copyFile(locate(target), locate(name), constants.COPYFILE_EXCL)
    written.set(name, source)
  }

  function noteSymlink(name: string, header: EntryHeader): void {
    const target = header.linkname ?? ''
    if (target === '' || target.includes('\0') || Buffer.byteLength(target) > limits.maxPathBytes)
      throw refuse(name, 'is a link without a usable target')
    if (target.startsWith('/')) throw refuse(name, 'is a link to an absolute path')
    claim(name, { kind: 'link', target })
    written.set(name, { mode: '120000', target })
  }

  return {
    async add(header: EntryHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
      const name = entryPath(header.name, limits)
      if (name === null) {
        if (header.type !== 'directory') throw refuse(header.name, 'has no name')
        return
      }
      // Omit the history and hooks of a packed repository.
      if (name.split('/').some((part) => part.toLowerCase() === '.git')) return
      if (header.type === 'directory') return ensureDirectory(name, name)
      if (header.type !== 'file' && header.type !== 'contiguous-file' && header.type !== 'link' && header.type !== 'symlink')
        throw refuse(name, 'is neither a file, a folder nor a link (devices, pipes and sparse files are not taken)')
      await ensureDirectory(path.posix.dirname(name), name)
      if (header.type === 'link') return copyLinked(name, header)
      if (header.type === 'symlink') return noteSymlink(name, header)
      return writeFile(name, header, content)
    },

    /** Creates the links and computes the tree's id. */
    async finish(): Promise<UnpackedTree> {
      for (const [name, node] of nodes) {
        if (node.kind !== 'link') continue
        if (!staysInside(name, nodes)) throw refuse(name, `is a link that leads out of the folder (${showName(node.target)})`)
        await symlink(node.target, locate(name))
      }
      const hash = createHash('sha256')
      const sorted = [...written].sort(([a], [b]) => (a < b ? -1 : 1))
      for (const [name, entry] of sorted) {
        const content = entry.mode === '120000' ? createHash('sha256').update(entry.target).digest('hex') : entry.hash
        hash.update(`${entry.mode} ${content} ${name}\0`)
      }
      return {
        treeId: `sha256:${hash.digest('hex')}`,
        sizeBytes,
        fileCount: written.size,
        pointers: { count: pointers.count, sizeBytes: pointers.sizeBytes, names: pointers.names },
      }
    },
  }
}
