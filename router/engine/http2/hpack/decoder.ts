import { Field } from './field'
import { huffmanDecode } from './huffman'
import { staticTable } from './static-table'

const staticFields = staticTable.map(([name, value]) => new Field(name, value))
const staticCount = staticFields.length

/** Size of the dynamic table that a client's encoder may use: the protocol's default (SETTINGS_HEADER_TABLE_SIZE). */
export const tableCapacity = 4096

export const Decoded = {
  ok: 0,
  /** More fields or bytes than allowed: the dynamic table is correct, the field list is truncated. */
  tooLarge: 1,
  /** The block is not valid HPACK: a connection error (RFC 9113 §4.3). */
  corrupt: 2,
} as const

export interface DecoderBounds {
  /** Sum of the sizes of the fields, each counted as RFC 7541 §4.1 does. */
  maxListBytes: number
  maxFields: number
}

/** Decodes the header blocks of one connection (RFC 7541). Its memory is bounded by `tableCapacity` and the size of one block. */
export class HpackDecoder {
  readonly #bounds: DecoderBounds
  // Entries from `#oldest` on, oldest first; earlier array elements were evicted.
  #entries: Field[] = []
  #oldest = 0
  #size = 0
  #capacity = tableCapacity
  #at = 0

  constructor(bounds: DecoderBounds) {
    this.#bounds = bounds
  }

  /** Appends the fields of a whole header block, bytes `start` to `end`, to `fields`. Returns one of `Decoded`. */
  decode(block: Buffer, start: number, end: number, fields: Field[]): number {
    const { maxListBytes, maxFields } = this.#bounds
    let listBytes = 0
    let tooLarge = false
    let begun = false
    this.#at = start
    while (this.#at < end) {
      const byte = block[this.#at] as number
      if ((byte & 0xe0) === 0x20) {
        // A size update must precede the first field (RFC 7541 §4.2).
        if (begun || !this.#resize(block, end)) return Decoded.corrupt
        continue
      }
      begun = true
      const field = byte & 0x80 ? this.#lookUp(this.#integer(block, end, 7)) : this.#literal(block, end, (byte & 0x40) !== 0)
      if (field === null) return Decoded.corrupt
      listBytes += field.size
      if (listBytes > maxListBytes || fields.length >= maxFields) tooLarge = true
      else fields.push(field)
    }
    return tooLarge ? Decoded.tooLarge : Decoded.ok
  }

  #resize(block: Buffer, end: number): boolean {
    const capacity = this.#integer(block, end, 5)
    if (capacity < 0 || capacity > tableCapacity) return false
    this.#capacity = capacity
    this.#evict()
    return true
  }

  #literal(block: Buffer, end: number, indexed: boolean): Field | null {
    const index = this.#integer(block, end, indexed ? 6 : 4)
    if (index < 0) return null
    const name = index === 0 ? this.#string(block, end) : (this.#lookUp(index)?.name ?? null)
    if (name === null) return null
    const value = this.#string(block, end)
    if (value === null) return null
    const field = new Field(name, value)
    if (indexed) {
      this.#entries.push(field)
      this.#size += field.size
      this.#evict()
    }
    return field
  }

  #lookUp(index: number): Field | null {
    if (index <= 0) return null
    if (index <= staticCount) return staticFields[index - 1] as Field
    const at = this.#entries.length - (index - staticCount)
    return at >= this.#oldest ? (this.#entries[at] as Field) : null
  }

  // An entry larger than the whole table empties it (RFC 7541 §4.4).
  #evict(): void {
    while (this.#size > this.#capacity) {
      this.#size -= (this.#entries[this.#oldest] as Field).size
      this.#oldest++
    }
    // A table of 4 KiB has at most 128 entries of 32 bytes: allow as many evicted elements before the array is compacted.
    if (this.#oldest > 128 || this.#oldest === this.#entries.length) {
      this.#entries = this.#entries.slice(this.#oldest)
      this.#oldest = 0
    }
  }

  /** Reads an integer with a prefix of `prefix` bits (RFC 7541 §5.1). Returns -1 when it is truncated or exceeds 28 bits. */
  #integer(block: Buffer, end: number, prefix: number): number {
    if (this.#at >= end) return -1
    const mask = (1 << prefix) - 1
    let value = (block[this.#at++] as number) & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= end) return -1
      const byte = block[this.#at++] as number
      value += (byte & 0x7f) << shift
      if ((byte & 0x80) === 0) return value
    }
    return -1
  }

  #string(block: Buffer, end: number): string | null {
    if (this.#at >= end) return null
    const huffman = ((block[this.#at] as number) & 0x80) !== 0
    const length = this.#integer(block, end, 7)
    const start = this.#at
    if (length < 0 || start + length > end) return null
    this.#at = start + length
    if (huffman) return huffmanDecode(block, start, start + length)
    return block.toString('latin1', start, start + length)
  }
}
