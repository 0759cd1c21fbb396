/** Positions of the first and last byte, both inclusive. */
export interface ByteRange {
  first: number
  last: number
}

/** More than this many ranges in one field is no reader of ours: the whole is sent. */
const maxRanges = 16

/**
 * A Range field against a representation of `size` bytes (RFC 9110 §14.2).
 * `whole`: no bytes unit, not well-formed, several ranges that are not one (a server may ignore the field); `unsatisfiable`: 416.
 * Several ranges that touch or overlap are one.
 */
export function parseRange(text: string, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const equals = /^bytes=(.+)$/i.exec(text.trim())
  if (!equals) return 'whole'
  const specs = (equals[1] ?? '').split(',').map((spec) => spec.trim())
  if (specs.length > maxRanges) return 'whole'
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    const range = parseSpec(spec, size)
    if (range === 'malformed') return 'whole'
    if (range) ranges.push(range)
  }
  if (ranges.length === 0) return 'unsatisfiable'
  return joined(ranges) ?? 'whole'
}

/** null: beyond the end. */
function parseSpec(spec: string, size: number): ByteRange | null | 'malformed' {
  const suffix = /^-(\d{1,15})$/.exec(spec)
  if (suffix) {
    const length = Math.min(Number(suffix[1]), size)
    return length === 0 ? null : { first: size - length, last: size - 1 }
  }
  const match = /^(\d{1,15})-(\d{1,15})?$/.exec(spec)
  if (!match) return 'malformed'
  const first = Number(match[1])
  const last = match[2] === undefined ? size - 1 : Number(match[2])
  if (match[2] !== undefined && last < first) return 'malformed'
  return first >= size ? null : { first, last: Math.min(last, size - 1) }
}

/** One range that is their union; null: there is a gap. */
function joined(ranges: ByteRange[]): ByteRange | null {
  const [head, ...rest] = ranges.sort((a, b) => a.first - b.first)
  if (!head) return null
  const union = { ...head }
  for (const { first, last } of rest) {
    if (first > union.last + 1) return null
    union.last = Math.max(union.last, last)
  }
  return union
}
