import { lstat, readdir, readlink, rm } from 'node:fs/promises'
import path from 'node:path'
import { mayBePointer } from './lfs'
import type { SourceLimits } from './limits'
import { type Node, staysInside } from './links'
import { showName, tooLarge, tooManyFiles } from './problem'

export interface TreeSize {
  sizeBytes: number
  fileCount: number
  /** Plain files with the size of Git LFS pointers. */
  maybePointers: string[]
}

/**
 * Walks a checked-out tree: enforces the limits and removes links that lead out of it, because the platform would read files of its own host
 * through them.
 */
export async function settleTree(directory: string, limits: SourceLimits, onLog: (text: string) => void): Promise<TreeSize> {
  const nodes = new Map<string, Node>()
  let sizeBytes = 0
  let entryCount = 0
  let fileCount = 0
  const maybePointers: string[] = []

  async function visit(relative: string): Promise<void> {
    for (const entry of await readdir(path.join(directory, relative), { withFileTypes: true })) {
      const name = relative === '' ? entry.name : `${relative}/${entry.name}`
      entryCount += 1
      if (entryCount > limits.maxFiles) throw tooManyFiles(limits.maxFiles)
      if (entry.isDirectory()) {
        nodes.set(name, { kind: 'directory' })
        await visit(name)
        continue
      }
      fileCount += 1
      if (entry.isSymbolicLink()) {
        nodes.set(name, { kind: 'link', target: await readlink(path.join(directory, name)) })
        continue
      }
      nodes.set(name, { kind: 'file' })
      const { size } = await lstat(path.join(directory, name))
      sizeBytes += size
      if (mayBePointer(size)) maybePointers.push(name)
      if (sizeBytes > limits.maxBytes) throw tooLarge(limits.maxBytes)
    }
  }

  await visit('')
  for (const [name, node] of nodes) {
    if (node.kind !== 'link' || staysInside(name, nodes)) continue
    await rm(path.join(directory, name), { force: true })
    fileCount -= 1
    onLog(`Left out the link ${showName(name)}: it leads out of the repository (${showName(node.target)})`)
  }
  return { sizeBytes, fileCount, maybePointers }
}
