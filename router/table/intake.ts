import { maxControlFrameBytes } from '@/shared/link'
import type { TableHead } from '@/shared/route-table'
import { type BuiltTable, TableBuilder } from './builder'
import { TableCopy } from './copy'
import { checkHead, supersedes } from './schema'

/** A table that is complete and valid. */
export interface ArrivedTable {
  head: TableHead
  /** null: the table does not supersede the current one and was skipped. */
  content: { built: BuiltTable; copy: TableCopy } | null
}

interface Coming {
  head: TableHead
  content: { builder: TableBuilder; copy: TableCopy } | null
}

/** Assembles the tables of one connection. An incomplete table is dropped when the next one begins. */
export class TableIntake {
  readonly #serving: () => BuiltTable
  readonly #maxBytes: number
  #coming: Coming | null = null
  #version = -1

  /** `serving`: the current table. Tables that do not supersede it are skipped. */
  constructor(serving: () => BuiltTable, maxBytes = maxControlFrameBytes) {
    this.#serving = serving
    this.#maxBytes = maxBytes
  }

  /** Version of the table being received, or of the last one. */
  get version(): number {
    return this.#version
  }

  /**
   * Starts a table. Lines are copied if they are kept.
   * @throws Error for an invalid head. After an error here, in `part` or in `end`, the rest of the table is ignored.
   */
  begin({ head: input, parts }: { head: { version: number }; parts: number }, line: Buffer): null {
    this.#coming = null
    this.#version = input.version
    const head = checkHead(input)
    const serving = this.#serving()
    const content = supersedes(head, serving.hosts)
      ? { builder: new TableBuilder(head, parts, serving), copy: new TableCopy(head, Buffer.from(line)) }
      : null
    this.#coming = { head, content }
    return null
  }

  /** Adds one part of the table. */
  part(line: Buffer): null {
    const content = this.#coming?.content
    if (!content) return null
    try {
      if (content.copy.size + line.length > this.#maxBytes) throw new Error(`the route table is longer than ${this.#maxBytes} bytes`)
      content.copy.add(content.builder.add(line))
      return null
    } catch (error) {
      this.#coming = null
      throw error
    }
  }

  /** null: the table was rejected before its end. */
  end(version: number): ArrivedTable | null {
    const coming = this.#coming
    this.#coming = null
    if (coming === null) return null
    const { head, content } = coming
    if (version !== head.version) throw new Error(`the end of route table ${version} came in place of that of ${head.version}`)
    return { head, content: content && { built: content.builder.finish(), copy: content.copy } }
  }
}
