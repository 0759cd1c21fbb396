import { COLON, CR, LF, lowerByte, SPACE, TAB, tokenByte, valueByte } from './tables'

/** Upper limit on header lines, independent of the settings. */
export const maxFields = 4096

export const incomplete = 0
export const malformed = -1
export const tooMany = -2

/**
 * Positions of the header lines of one head, as offsets into its bytes, without allocation per line. Reused for every head: valid until the
 * next scan.
 */
export class FieldIndex {
  count = 0
  /** `lineStart[count]` is where the empty line begins. */
  readonly lineStart = new Int32Array(maxFields + 1)
  readonly nameEnd = new Int32Array(maxFields)
  /** Without surrounding white space. */
  readonly valueStart = new Int32Array(maxFields)
  readonly valueEnd = new Int32Array(maxFields)
  /** 1: the line is hop-by-hop and not forwarded. */
  readonly cut = new Uint8Array(maxFields)

  nameLength(line: number): number {
    return (this.nameEnd[line] as number) - (this.lineStart[line] as number)
  }

  /** The name in lower case. */
  name(bytes: Buffer, line: number): string {
    return bytes.toString('latin1', this.lineStart[line] as number, this.nameEnd[line] as number).toLowerCase()
  }

  value(bytes: Buffer, line: number): string {
    return bytes.toString('latin1', this.valueStart[line] as number, this.valueEnd[line] as number)
  }

  /** Whether the line's name is `name`, given in lower case. */
  is(bytes: Uint8Array, line: number, name: string): boolean {
    const start = this.lineStart[line] as number
    if ((this.nameEnd[line] as number) - start !== name.length) return false
    for (let i = 0; i < name.length; i++) if (lowerByte[bytes[start + i] as number] !== name.charCodeAt(i)) return false
    return true
  }

  /** Whether there is a line of this name, given in lower case. */
  has(bytes: Uint8Array, name: string): boolean {
    for (let line = 0; line < this.count; line++) if (this.is(bytes, line, name)) return true
    return false
  }

  /** The only line of this lower-case name; -1: none, or several. */
  only(bytes: Uint8Array, name: string): number {
    let found = -1
    for (let line = 0; line < this.count; line++) {
      if (!this.is(bytes, line, name)) continue
      if (found !== -1) return -1
      found = line
    }
    return found
  }

  /** Whether the line's value is `text`, byte for byte. */
  says(bytes: Uint8Array, line: number, text: string): boolean {
    const start = this.valueStart[line] as number
    if ((this.valueEnd[line] as number) - start !== text.length) return false
    for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false
    return true
  }

  /** All values of a name, joined by `separator`; undefined: absent. */
  joined(bytes: Buffer, name: string, separator: string): string | undefined {
    let text: string | undefined
    for (let line = 0; line < this.count; line++)
      if (this.is(bytes, line, name)) text = text === undefined ? this.value(bytes, line) : `${text}${separator}${this.value(bytes, line)}`
    return text
  }

  /** Cuts every line whose name is in the set (lower case). */
  cutNames(bytes: Buffer, names: ReadonlySet<string>): void {
    // Rules name one or two fields: comparing bytes is cheaper than converting every name to a string.
    if (names.size <= 4) {
      for (const name of names) for (let line = 0; line < this.count; line++) if (this.is(bytes, line, name)) this.cut[line] = 1
      return
    }
    for (let line = 0; line < this.count; line++) if (this.cut[line] === 0 && names.has(this.name(bytes, line))) this.cut[line] = 1
  }
}

/**
 * Scans header lines from `at` up to the empty line that ends the head, strictly: each line ends with exactly CRLF, no white space before
 * the colon, no folded line (RFC 9112 §5). Allocates nothing.
 * @returns the offset behind the empty line, or `incomplete`, `malformed`, `tooMany`.
 */
export function scanFields(index: FieldIndex, bytes: Uint8Array, at: number, end: number, maxLines: number): number {
  let i = at
  let line = 0
  for (;;) {
    if (i >= end) return incomplete
    const start = i
    let byte = bytes[i] as number
    if (byte === CR) {
      if (i + 1 >= end) return incomplete
      if (bytes[i + 1] !== LF) return malformed
      index.count = line
      index.lineStart[line] = start
      return i + 2
    }
    while (tokenByte[byte] === 1) {
      if (++i >= end) return incomplete
      byte = bytes[i] as number
    }
    // Rejects white space before the colon, folded lines, empty names and bare LF.
    if (byte !== COLON || i === start) return malformed
    const nameEnd = i++
    while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++
    const valueStart = i
    while (i < end && valueByte[bytes[i] as number] === 1) i++
    if (i >= end) return incomplete
    if (bytes[i] !== CR) return malformed
    if (i + 1 >= end) return incomplete
    if (bytes[i + 1] !== LF) return malformed
    if (line >= maxLines || line >= maxFields) return tooMany
    index.lineStart[line] = start
    index.nameEnd[line] = nameEnd
    index.valueStart[line] = valueStart
    index.valueEnd[line] = trimEnd(bytes, valueStart, i)
    index.cut[line] = 0
    line++
    i += 2
  }
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let i = end
  while (i > start && (bytes[i - 1] === SPACE || bytes[i - 1] === TAB)) i--
  return i
}
