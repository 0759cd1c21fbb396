/** Positions of the first and last byte, both inclusive. */
export interface ByteRange {
  first: number
  last: number
}

/** A field with more ranges is answered with the whole representation. */
const maxRanges = 16
/** More separate ranges cost more than they save. */
const maxParts = 8

/** Like `parseRanges`, for a single range: several ranges become `whole`, which a server may choose for any Range. */
export function parseRange(text: string, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const ranges = parseRanges(text, size)
  if (typeof ranges === 'string') return ranges
  return ranges.length === 1 ? ranges[0] : 'whole'
}

/**
 * Parses a Range field for a representation of `size` bytes (RFC 9110 §14.2), sorted by position; adjacent and overlapping ranges are
 * merged. `whole`: another unit, malformed, or too many ranges; `unsatisfiable`: answer with 416.
 */
export function parseRanges(text: string, size: number): [ByteRange, ...ByteRange[]] | 'whole' | 'unsatisfiable' {
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
  const [first, ...rest] = ranges.sort((a, b) => a.first - b.first)
  if (first === undefined) return 'unsatisfiable'
  const parts = joined(first, rest)
  return parts.length > maxParts ? 'whole' : parts
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

function joined(head: ByteRange, rest: ByteRange[]): [ByteRange, ...ByteRange[]] {
  let last = { ...head }
  const parts: [ByteRange, ...ByteRange[]] = [last]
  for (const range of rest) {
    if (range.first <= last.last + 1) last.last = Math.max(last.last, range.last)
    else {
      last = { ...range }
      parts.push(last)
    }
  }
  return parts
}
