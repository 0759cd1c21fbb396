import { createHash } from 'node:crypto'
import { encodeParts, headFrame, headOf } from '@/shared/node/table-frames'
import type { RouteTable, TableHead } from '@/shared/route-table'

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

  /** Of a table that came as one message, made step by step. */
  static *making(table: RouteTable): Generator<undefined, TableCopy> {
    const frames: Buffer[] = []
    for (const { frame } of encodeParts(table)) {
      frames.push(frame)
      yield
    }
    const head = headOf(table)
    const copy = new TableCopy(head, headFrame(head, frames.length))
    for (const frame of frames) {
      copy.add(frame)
      yield
    }
    return copy
  }

  /** As `making`, at once. */
  static of(table: RouteTable): TableCopy {
    const making = TableCopy.making(table)
    for (;;) {
      const step = making.next()
      if (step.done) return step.value
    }
  }
}
