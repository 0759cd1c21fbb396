import { open } from 'node:fs/promises'
import path from 'node:path'
import type { Elsewhere } from '@/shared/build-plan'
import { showBytes, showName, sourceError } from './problem'

/** A pointer file, in place of a file in Git LFS. */
export interface Pointer {
  /** Path relative to the tree. */
  name: string
  oid: string
  sizeBytes: number
}

// Smallest and largest size of a pointer, according to the specification.
const minPointerBytes = 120
export const maxPointerBytes = 1024
const pattern = /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n?$/

/** Parses a pointer file; null: not a pointer. */
export function parsePointer(text: string): Omit<Pointer, 'name'> | null {
  const match = pattern.exec(text)
  return match ? { oid: match[1] ?? '', sizeBytes: Number(match[2]) } : null
}

export const mayBePointer = (sizeBytes: number): boolean => sizeBytes >= minPointerBytes && sizeBytes <= maxPointerBytes

/** Finds pointers among these files, which have the size of pointers. */
export async function findPointers(directory: string, names: readonly string[]): Promise<Pointer[]> {
  const found: Pointer[] = []
  for (const name of names) {
    const handle = await open(path.join(directory, name), 'r')
    try {
      const pointer = parsePointer(await handle.readFile('utf8'))
      if (pointer) found.push({ name, ...pointer })
    } finally {
      await handle.close()
    }
  }
  return found
}

/** Summary of pointers for messages. */
export interface PointerSummary {
  count: number
  sizeBytes: number
  /** Names of the first pointers. */
  names: string[]
}

const namesShown = 3

export function createPointerSummary(): PointerSummary & { add(pointer: Pointer): void } {
  return {
    count: 0,
    sizeBytes: 0,
    names: [],
    add(pointer) {
      this.count += 1
      this.sizeBytes += pointer.sizeBytes
      if (this.names.length < namesShown) this.names.push(pointer.name)
    },
  }
}

/** "a.bin, b.bin and 3 more (12 MB)" */
export function describePointers({ count, sizeBytes, names }: PointerSummary): string {
  const more = count - names.length
  return `${names.map(showName).join(', ')}${more > 0 ? ` and ${more} more` : ''} (${showBytes(sizeBytes)})`
}

export function summaryOf(pointers: readonly Pointer[]): PointerSummary {
  const summary = createPointerSummary()
  for (const pointer of pointers) summary.add(pointer)
  return summary
}

/** Advice when files of Git LFS are unavailable or not wanted. */
export const lfsAdvice = 'or set Git LFS of the project to "ignore" (Settings → Source, "lfs" in the API) to deploy the pointer files as they are.'

export const warnAboutPointers = (summary: PointerSummary, onLog: (text: string) => void): void =>
  onLog(`Warning: files of Git LFS are not fetched, as the project's settings ask; small pointer files stand for them: ${describePointers(summary)}`)

/** An upload has no repository to fetch from: its pointers stay, or fail the deployment. @throws AppError ERR_SOURCE */
export function judgeUploadedPointers(summary: PointerSummary, setting: Elsewhere, onLog: (text: string) => void): void {
  if (summary.count === 0) return
  if (setting === 'ignore') {
    warnAboutPointers(summary, onLog)
    return
  }
  throw sourceError(
    `The upload holds pointer files of Git LFS instead of the files themselves: ${describePointers(summary)}`,
    `Run git lfs pull in the folder and deploy it again, ${lfsAdvice}`,
  )
}
