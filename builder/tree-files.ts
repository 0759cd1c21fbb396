import { constants } from 'node:fs'
import { open, readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'

/** Reads files of an untrusted tree: only inside it, of bounded size, no devices. Paths are relative to the tree. */
export interface TreeFiles {
  /** Text of a file; null: missing, not a plain file, larger than `maxBytes`, or outside the tree. */
  read(relative: string, maxBytes?: number): Promise<string | null>
  isFile(relative: string): Promise<boolean>
  isDirectory(relative: string): Promise<boolean>
  /** Sorted names in a directory; empty if it does not exist. */
  list(relative: string): Promise<string[]>
}

const defaultMaxBytes = 1024 * 1024

export async function openTree(directory: string): Promise<TreeFiles> {
  const root = await realpath(directory)

  async function locate(relative: string): Promise<string | null> {
    const resolved = await realpath(path.join(root, relative)).catch(() => null)
    if (resolved === null) return null
    return resolved === root || resolved.startsWith(root + path.sep) ? resolved : null
  }

  async function statOf(relative: string) {
    const file = await locate(relative)
    return file === null ? null : stat(file).catch(() => null)
  }

  return {
    async read(relative, maxBytes = defaultMaxBytes) {
      const file = await locate(relative)
      if (file === null) return null
      // O_NONBLOCK: opening a fifo must not block.
      const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null)
      if (handle === null) return null
      try {
        const info = await handle.stat()
        if (!info.isFile() || info.size > maxBytes) return null
        const text = await handle.readFile('utf8')
        return text.startsWith('\uFEFF') ? text.slice(1) : text
      } finally {
        await handle.close()
      }
    },
    isFile: async (relative) => (await statOf(relative))?.isFile() ?? false,
    isDirectory: async (relative) => (await statOf(relative))?.isDirectory() ?? false,
    async list(relative) {
      const file = await locate(relative)
      return file === null ? [] : (await readdir(file).catch(() => [])).sort()
    },
  }
}
