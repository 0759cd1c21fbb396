import { open } from 'node:fs/promises'
import path from 'node:path'
import type { Elsewhere } from '@/shared/build-plan'
import { showBytes, showName, sourceError } from './problem'

/** A file of a tree that stands for another, which Git LFS keeps. */
export interface Pointer {
  /** Relative to the tree. */
  name: string
  oid: string
  sizeBytes: number
}

// Between the shortest a pointer can be and what the specification allows.
const minPointerBytes = 120
export const maxPointerBytes = 1024
const pattern = /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n?$/

/** What a file of this text stands for; null: it is no pointer. */
export function parsePointer(text: string): Omit<Pointer, 'name'> | null {
  const match = pattern.exec(text)
  return match ? { oid: match[1] ?? '', sizeBytes: Number(match[2]) } : null
}

export const mayBePointer = (sizeBytes: number): boolean => sizeBytes >= minPointerBytes && sizeBytes <= maxPointerBytes

/** The pointers among these files, which are plain ones of a size that pointers have. */
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

/** Pointers, as they are told of. */
export interface PointerSummary {
  count: number
  sizeBytes: number
  /** Of the first few. */
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

/** What to do where files of Git LFS cannot be had, or are not wanted. */
export const lfsAdvice = 'or set Git LFS of the project to "ignore" (Settings → Source, "lfs" in the API) to deploy the pointer files as they are.'

export const warnAboutPointers = (summary: PointerSummary, onLog: (text: string) => void): void =>
  onLog(`Warning: files of Git LFS are not fetched, as the project's settings ask; small pointer files stand for them: ${describePointers(summary)}`)

/** An upload has no repository to ask: its pointers stay, or end the deployment. @throws AppError ERR_SOURCE */
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
