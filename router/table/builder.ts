import { hash } from 'node:crypto'
import type { TableHead, TablePart } from '@/shared/route-table'
import { HostTable, type TakenPart } from '../match/host-table'
import { checkPart } from './schema'

/** A received part, and the routes made from it. */
interface Part {
  readonly line: Buffer
  readonly taken: TakenPart
}

/** A table and its parts, keyed by digest. */
export interface BuiltTable {
  hosts: HostTable
  parts: ReadonlyMap<string, Part>
}

/**
 * Builds a table while its parts arrive: each part is checked and added alone, and the table serves once it is complete. A part with the same
 * bytes as a part of the previous table reuses its routes, so that a large table that differs by one route costs little.
 */
export class TableBuilder {
  readonly head: TableHead
  readonly #hosts: HostTable
  readonly #before: BuiltTable | null
  readonly #parts: number
  readonly #kept = new Map<string, Part>()
  #count = 0
  readonly #position = { routes: 0, certificates: 0 }

  constructor(head: TableHead, parts: number, before: BuiltTable | null) {
    this.head = head
    this.#parts = parts
    this.#before = before
    this.#hosts = new HostTable(head)
  }

  /** Adds a message. Returns the bytes to keep: a copy, or those of the previous table. @throws Error that names the first few faults. */
  add(line: Buffer): Buffer {
    const digest = hash('sha256', line, 'base64')
    const known = this.#before?.parts.get(digest)
    const part = known && this.#hosts.addTaken(known.taken) ? known : { line: Buffer.from(line), taken: this.#make(line) }
    this.#kept.set(digest, part)
    this.#count++
    this.#position.routes += part.taken.routes.length
    this.#position.certificates += part.taken.certificates.length
    return part.line
  }

  #make(line: Buffer): TakenPart {
    const part = checkPart(JSON.parse(line.toString('utf8')), this.#position)
    return this.#hosts.add({ ...part, ...(part.policies && { policies: this.#keepSame(part.policies) }) })
  }

  // Routes can be reused only with the same policy objects: keep those of the previous table if unchanged.
  #keepSame(policies: NonNullable<TablePart['policies']>): NonNullable<TablePart['policies']> {
    const before = this.#before?.hosts
    if (!before) return policies
    return Object.fromEntries(
      Object.entries(policies).map(([name, policy]) => {
        const old = before.policy(name)
        return [name, old && JSON.stringify(old) === JSON.stringify(policy) ? old : policy]
      }),
    )
  }

  /** @throws Error when the number of parts is wrong. */
  finish(): BuiltTable {
    if (this.#count !== this.#parts) throw new Error(`the route table has ${this.#parts} parts, and ${this.#count} came`)
    return { hosts: this.#hosts, parts: this.#kept }
  }
}
