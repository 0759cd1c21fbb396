import { huffmanEncode, huffmanSize } from './huffman'
import { staticTable } from './static-table'

// The encoder uses no dynamic table: its output does not depend on earlier output, so all connections can share encoded lines. The client's
// SETTINGS_HEADER_TABLE_SIZE is irrelevant.

const nameIndex = new Map<string, number>()
const pairIndex = new Map<string, number>()
for (const [at, [name, value]] of staticTable.entries()) {
  if (!nameIndex.has(name)) nameIndex.set(name, at + 1)
  if (value !== '') pairIndex.set(`${name}\0${value}`, at + 1)
}

/** Fields that no intermediary may add to a dynamic table: attackers could guess the values by compression (RFC 7541 §7.1.3). */
const neverIndexed = new Set(['authorization', 'proxy-authorization', 'set-cookie', 'cookie'])

function pushInteger(out: number[], first: number, prefix: number, value: number): void {
  const mask = (1 << prefix) - 1
  if (value < mask) {
    out.push(first | value)
    return
  }
  out.push(first | mask)
  let rest = value - mask
  while (rest >= 128) {
    out.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  out.push(rest)
}

function pushString(out: number[], text: string): void {
  const bytes = Buffer.from(text, 'latin1')
  const size = huffmanSize(bytes)
  if (size < bytes.length) {
    pushInteger(out, 0x80, 7, size)
    huffmanEncode(bytes, out)
    return
  }
  pushInteger(out, 0, 7, bytes.length)
  for (const byte of bytes) out.push(byte)
}

/** Encodes a field as HPACK: indexed if the static table contains the pair, else a literal without indexing. `name` is in lower case. */
export function encodeField(name: string, value: string): Buffer {
  const out: number[] = []
  const pair = pairIndex.get(`${name}\0${value}`)
  if (pair !== undefined) pushInteger(out, 0x80, 7, pair)
  else {
    const index = nameIndex.get(name) ?? 0
    pushInteger(out, neverIndexed.has(name) ? 0x10 : 0, 4, index)
    if (index === 0) pushString(out, name)
    pushString(out, value)
  }
  return Buffer.from(out)
}

const statuses = new Map<number, Buffer>()

/** The `:status` field; `status` is 100 to 999. */
export function encodeStatus(status: number): Buffer {
  let encoded = statuses.get(status)
  if (!encoded) {
    encoded = encodeField(':status', String(status))
    statuses.set(status, encoded)
  }
  return encoded
}
