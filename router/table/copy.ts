import { createHash } from 'node:crypto'
import type { TableHead } from '@/shared/route-table'

/** The messages of a table, byte for byte, to be written to disk without encoding them again. */
export class TableCopy {
  readonly version: number
  readonly generatedAt: string
  readonly lines: Buffer[] = []
  size = 0
  readonly #hash = createHash('sha256')
  #sha256: string | undefined

  /** `line`: the message with this head. */
  constructor({ version, generatedAt }: TableHead, line: Buffer) {
    this.version = version
    this.generatedAt = generatedAt
    this.add(line)
  }

  add(line: Buffer): void {
    this.lines.push(line)
    this.size += line.length
    this.#hash.update(line)
  }

  /** Digest of all lines; no line may be added after the first read. */
  get sha256(): string {
    this.#sha256 ??= this.#hash.digest('hex')
    return this.#sha256
  }
}
