import type { TableHead } from '@/shared/route-table'
import { HostTable } from '../match/host-table'
import { checkPart } from './schema'

/** A table that is made while its parts come: each is checked and taken in by itself, and it serves once it is whole. */
export class TableBuilder {
  readonly head: TableHead
  readonly #hosts: HostTable
  readonly #parts: number
  #taken = 0
  readonly #before = { routes: 0, certificates: 0 }

  constructor(head: TableHead, parts: number) {
    this.head = head
    this.#parts = parts
    this.#hosts = new HostTable(head)
  }

  /** @throws Error that names the first few faults. */
  add(input: unknown): void {
    const part = checkPart(input, this.#before)
    this.#hosts.add(part)
    this.#before.routes += part.routes?.length ?? 0
    this.#before.certificates += part.certificates?.length ?? 0
    this.#taken++
  }

  /** @throws Error when parts are missing or too many came. */
  finish(): HostTable {
    if (this.#taken !== this.#parts) throw new Error(`the route table has ${this.#parts} parts, and ${this.#taken} came`)
    return this.#hosts
  }
}
