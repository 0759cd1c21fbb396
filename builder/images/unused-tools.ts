import { readdir, rm, stat, utimes } from 'node:fs/promises'
import path from 'node:path'
import { sizeOf } from '@/builder/cache/evict'

/** Records the use of a tool. Tools that are unused for long are removed and fetched again when needed. */
export async function noteUse(directory: string): Promise<void> {
  const now = new Date()
  await utimes(directory, now, now).catch(() => {})
}

export interface UnusedTools {
  /** Node versions of artifacts and of the platform, which are never removed. */
  nodesInUse: readonly string[]
  maxAgeMs: number
}

/** Removes versions of Node and of package managers that no recent build used and no artifact needs. */
export async function removeUnusedTools(directory: string, { nodesInUse, maxAgeMs }: UnusedTools): Promise<{ name: string; sizeBytes: number }[]> {
  const kept = new Set(nodesInUse.map((version) => `node-${version}`))
  const removed: { name: string; sizeBytes: number }[] = []
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || kept.has(entry.name) || !/^((fetched-)?node|pnpm|yarn)-/.test(entry.name)) continue
    const tool = path.join(directory, entry.name)
    const { mtimeMs } = await stat(tool)
    if (Date.now() - mtimeMs <= maxAgeMs) continue
    const sizeBytes = await sizeOf(tool)
    await rm(tool, { recursive: true, force: true })
    removed.push({ name: entry.name, sizeBytes })
  }
  return removed
}
