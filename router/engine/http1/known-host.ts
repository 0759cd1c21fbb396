import { parseAuthority } from '@/shared/node/host'
import type { HostTable, LiveRoute } from '../../match/host-table'
import type { Visitor } from '../headers/visitor'
import { forwardedLines } from './request-writer'

/** The last host of a connection. Nearly every request repeats it, which a byte comparison detects. */
export class KnownHost {
  /** Canonical; empty when the header was not a valid hostname. */
  name = ''
  /** The Host header in lower case. */
  authority = ''
  route: LiveRoute | null = null
  /** See `forwardedLines`; of the connection's client. */
  forwarded: Buffer = Buffer.alloc(0)
  readonly #client: Visitor
  #port = ''
  #bytes: Buffer = Buffer.alloc(0)
  #table: HostTable | null = null

  constructor(client: Visitor) {
    this.#client = client
  }

  /** Reads the Host header in these bytes. */
  read(table: HostTable, bytes: Buffer, start: number, end: number): void {
    if (this.#table === table && this.#same(bytes, start, end)) return
    const text = bytes.toString('latin1', start, end)
    const authority = parseAuthority(text)
    this.#table = table
    this.#bytes = Buffer.from(text, 'latin1')
    this.name = authority?.host ?? ''
    this.authority = text.toLowerCase()
    this.route = authority === null ? null : (table.find(authority.host) ?? null)
    this.#port = authority?.port ?? ''
    this.forwarded = forwardedLines(this.#client, text, this.#port)
  }

  /** See `forwardedLines`; of a visitor behind the connection's client. */
  forwardedOf(visitor: Visitor): Buffer {
    return forwardedLines(visitor, this.#bytes.toString('latin1'), this.#port)
  }

  #same(bytes: Buffer, start: number, end: number): boolean {
    const known = this.#bytes
    if (end - start !== known.length || known.length === 0) return false
    for (let i = 0; i < known.length; i++) if (bytes[start + i] !== known[i]) return false
    return true
  }
}
