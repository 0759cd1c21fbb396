import { maxControlFrameBytes } from '@/shared/edge-link'
import type { Slices } from '@/shared/node/slices'
import { headOf } from '@/shared/node/table-frames'
import type { TableHead } from '@/shared/route-table'
import type { HostTable } from '../match/host-table'
import { TableBuilder } from './builder'
import { TableCopy } from './copy'
import { checkHead, checkTable } from './schema'

/** A table that came whole and is valid. */
export interface ArrivedTable {
  head: TableHead
  /** null: it was not wanted, so that only its end was waited for. */
  content: { hosts: HostTable; copy: TableCopy } | null
}

/** The messages of a table as the link reads them: nothing but their form is known. */
export type TableFrame =
  | { type: 'table-head'; head: { version: number }; parts: number }
  | { type: 'table-part' }
  | { type: 'table-end'; version: number }

interface Coming {
  head: TableHead
  content: { builder: TableBuilder; copy: TableCopy } | null
}

/** Puts together the tables of one connection. What is not whole when the next one begins is dropped. */
export class TableIntake {
  readonly #wants: (head: TableHead) => boolean
  readonly #maxBytes: number
  #coming: Coming | null = null
  #version = -1

  /** `wants`: whether a table with this head is to be made; one that serves already is only read past. */
  constructor(wants: (head: TableHead) => boolean, maxBytes = maxControlFrameBytes) {
    this.#wants = wants
    this.#maxBytes = maxBytes
  }

  /** Of the table that is coming, or came last. */
  get version(): number {
    return this.#version
  }

  /** Takes a message in; gives the table whose end it is. @throws Error when the table is invalid: the rest of it is then passed over. */
  take(frame: TableFrame, line: Buffer): ArrivedTable | null {
    const coming = this.#coming
    // What fails is over; what goes on is put back.
    this.#coming = null
    if (frame.type === 'table-head') this.#coming = this.#begin(frame, line)
    else if (coming === null) return null
    else if (frame.type === 'table-end') return finished(coming, frame.version)
    else {
      this.#add(coming, frame, line)
      this.#coming = coming
    }
    return null
  }

  #begin({ head: input, parts }: TableFrame & { type: 'table-head' }, line: Buffer): Coming {
    this.#version = input.version
    const head = checkHead(input)
    return { head, content: this.#wants(head) ? { builder: new TableBuilder(head, parts), copy: new TableCopy(head, line) } : null }
  }

  #add({ content }: Coming, frame: TableFrame, line: Buffer): void {
    if (content === null) return
    content.copy.add(line)
    if (content.copy.size > this.#maxBytes) throw new Error(`the route table is longer than ${this.#maxBytes} bytes`)
    content.builder.add(frame)
  }
}

function finished({ head, content }: Coming, version: number): ArrivedTable {
  if (version !== head.version) throw new Error(`the end of route table ${version} came in place of that of ${head.version}`)
  return { head, content: content && { hosts: content.builder.finish(), copy: content.copy } }
}

/** A table that an older control plane sent as one message. @throws Error when it is invalid. */
export async function wholeTable(input: unknown, slices: Slices): Promise<ArrivedTable> {
  const { table, hosts } = checkTable(input)
  const making = TableCopy.making(table)
  for (;;) {
    const step = making.next()
    if (step.done) return { head: headOf(table), content: { hosts, copy: step.value } }
    if (slices.over) await slices.next()
  }
}
