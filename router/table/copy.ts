import { createHash } from 'node:crypto'
import type { TableHead } from '@/shared/route-table'

/** The messages a table came in, byte for byte, for the disk: nothing of it is encoded anew. */
export class TableCopy {
  readonly version: number
  readonly generatedAt: string
  readonly lines: Buffer[] = []
  size = 0
  readonly #hash = createHash('sha256')
  #sha256: string | undefined

  /** `line`: the message of this head. */
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

  /** Of all lines; none may be added after it was asked for. */
  get sha256(): string {
    this.#sha256 ??= this.#hash.digest('hex')
    return this.#sha256
  }
}
