/**
 * The Huffman code of HPACK (RFC 7541 appendix B). The code is canonical: codes of one length are consecutive in symbol order, so the
 * lengths define the whole code. Symbol 256 is EOS, which is never sent (§5.2).
 */
// biome-ignore format: one row for sixteen symbols
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
] as const

const eos = 256

/** Code of each symbol, EOS included, right-aligned. */
export const huffmanCodes = Uint32Array.from({ length: 257 })
export const huffmanLengths = Uint8Array.from(codeLengths)

{
  const order = Array.from({ length: 257 }, (_, symbol) => symbol)
  order.sort((a, b) => (codeLengths[a] ?? 0) - (codeLengths[b] ?? 0) || a - b)
  let code = 0
  let length = 0
  for (const symbol of order) {
    const own = codeLengths[symbol] ?? 0
    code *= 2 ** (own - length)
    length = own
    huffmanCodes[symbol] = code
    code++
  }
}

/**
 * The decoder is a state machine that reads four bits at a time. `next`: the following state, or -1 if EOS would be complete. `emitted`:
 * the symbol completed on the way, or -1 (codes have at least five bits, so at most one symbol is completed). A state is a node of the
 * code's tree; `padding` marks the states in which a string may end: at most seven bits, all ones (§5.2).
 */
interface Machine {
  next: Int16Array
  emitted: Int16Array
  padding: Uint8Array
}

function buildTree(): { children: number[][]; padding: Uint8Array } {
  // A child is another node, or the bitwise complement of a symbol (~symbol).
  const children: number[][] = [[0, 0]]
  const depthOfOnes: number[] = [0]
  for (let symbol = 0; symbol <= eos; symbol++) {
    const length = huffmanLengths[symbol] ?? 0
    const code = huffmanCodes[symbol] ?? 0
    let node = 0
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = (code >>> bit) & 1
      const pair = children[node] as number[]
      if (bit === 0) pair[side] = ~symbol
      else {
        if (pair[side] === 0) {
          pair[side] = children.push([0, 0]) - 1
          const ones = depthOfOnes[node] ?? -1
          depthOfOnes.push(side === 1 && ones >= 0 ? ones + 1 : -1)
        }
        node = pair[side] as number
      }
    }
  }
  return { children, padding: Uint8Array.from(depthOfOnes, (ones) => (ones >= 0 && ones <= 7 ? 1 : 0)) }
}

function buildMachine(): Machine {
  const { children, padding } = buildTree()
  const next = new Int16Array(children.length * 16)
  const emitted = new Int16Array(children.length * 16).fill(-1)
  for (let state = 0; state < children.length; state++)
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state
      for (let bit = 3; bit >= 0 && node >= 0; bit--) {
        const child = children[node]?.[(nibble >> bit) & 1] ?? 0
        if (child >= 0) node = child
        else if (~child === eos) node = -1
        else {
          emitted[state * 16 + nibble] = ~child
          node = 0
        }
      }
      next[state * 16 + nibble] = node
    }
  return { next, emitted, padding }
}

const { next, emitted, padding } = buildMachine()

// The decoder bounds strings (`maxStringBytes`), and a code has at least five bits: this buffer is large enough.
let scratch = Buffer.allocUnsafeSlow(16_384)

/** Decodes bytes `start` to `end` into latin1. null: invalid Huffman string (EOS inside, or wrong padding). */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number): string | null {
  const worst = Math.ceil(((end - start) * 8) / 5)
  if (scratch.length < worst) scratch = Buffer.allocUnsafeSlow(worst)
  const out = scratch
  let state = 0
  let length = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    let key = state * 16 + (byte >> 4)
    let symbol = emitted[key] as number
    if (symbol >= 0) out[length++] = symbol
    state = next[key] as number
    if (state < 0) return null
    key = state * 16 + (byte & 15)
    symbol = emitted[key] as number
    if (symbol >= 0) out[length++] = symbol
    state = next[key] as number
    if (state < 0) return null
  }
  return padding[state] === 1 ? out.toString('latin1', 0, length) : null
}

/** Number of bytes that `huffmanEncode` writes. */
export function huffmanSize(bytes: Uint8Array): number {
  let bits = 0
  for (let i = 0; i < bytes.length; i++) bits += huffmanLengths[bytes[i] as number] as number
  return (bits + 7) >>> 3
}

/** Appends the code of `bytes`, padded with ones to whole octets. */
export function huffmanEncode(bytes: Uint8Array, out: number[]): void {
  let pending = 0
  let held = 0
  for (const byte of bytes) {
    const length = huffmanLengths[byte] as number
    const code = huffmanCodes[byte] as number
    // Codes of up to 30 bits plus 7 pending bits exceed 32 bits: write long codes in two halves.
    for (const [part, width] of length > 16 ? [[code >>> 16, length - 16] as const, [code & 0xffff, 16] as const] : [[code, length] as const]) {
      pending = (pending << width) | part
      held += width
      while (held >= 8) {
        held -= 8
        out.push((pending >>> held) & 0xff)
      }
      pending &= (1 << held) - 1
    }
  }
  if (held > 0) out.push(((pending << (8 - held)) | ((1 << (8 - held)) - 1)) & 0xff)
}
