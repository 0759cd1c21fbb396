/** Hides values of variables in what is written down or shown. Bounded: time grows with the text, whatever the values are. */

const shortestSecret = 6
/** A longer part of a secret is hidden although the rest of it does not follow. */
const tellingLength = 32
/** Values that are words of every log; masking them would make it unreadable and hides nothing. */
const plainValues = new Set(['production', 'development', 'preview', 'staging', 'localhost'])

export type Env = Readonly<Record<string, string>>

/** Replaces every secret value in a text by its name. */
export interface Mask {
  (text: string): string
  /** For one stream whose long lines come in pieces: a secret that is cut by the end of a piece is hidden on both sides of the cut. */
  pieces(): (text: string, cut: boolean) => string
}

/** Candidates that agree with the text so far: `from <= index < to`, equal in their first `depth` characters. */
interface Range {
  from: number
  to: number
  depth: number
}

interface Index {
  /** Sorted by UTF-16 code units, so that those with a common beginning lie together. */
  values: readonly string[]
  names: readonly string[]
  /** Bits of the hashes of 6 characters that some value begins with: they rule out most positions of a text. */
  beginnings: Uint32Array
}

/**
 * The lines of each value count on their own (a key in PEM is printed line by line), as do its forms in a URL and in JSON.
 * Values shorter than 6 characters and words of every log are left alone.
 */
export function createMask(...environments: readonly Env[]): Mask {
  const index = indexOf(environments)
  if (index.values.length === 0) return Object.assign((text: string) => text, { pieces: () => (text: string) => text })
  const mask = (text: string): string => maskText(index, text, false, null).text
  const pieces = () => {
    let open: Range | null = null
    return (text: string, cut: boolean): string => {
      const result = maskText(index, text, cut, open)
      open = result.open
      return result.text
    }
  }
  return Object.assign(mask, { pieces })
}

const hashBits = 18
const factor = 0x9e3779b1 | 0
/** Of the character that leaves the rolling hash. */
const leaving = Array.from({ length: shortestSecret }).reduce((power: number) => Math.imul(power, factor), 1)

/** Hash of the 6 characters at 0. */
function firstHash(text: string): number {
  let hash = 0
  for (let at = 0; at < shortestSecret; at++) hash = (Math.imul(hash, factor) + text.charCodeAt(at)) | 0
  return hash
}

/** The same, one character further on. */
const nextHash = (hash: number, left: number, entered: number): number => (Math.imul(hash, factor) + entered - Math.imul(left, leaving)) | 0

const slotOf = (hash: number): number => Math.imul(hash, 0x85ebca6b) >>> (32 - hashBits)
const isBeginning = (beginnings: Uint32Array, hash: number): boolean => {
  const slot = slotOf(hash)
  return ((beginnings[slot >>> 5] as number) & (1 << (slot & 31))) !== 0
}

function indexOf(environments: readonly Env[]): Index {
  const nameOf = new Map<string, string>()
  for (const env of environments)
    for (const [name, value] of Object.entries(env))
      for (const form of formsOf(value))
        for (const line of form.split(/\r?\n/))
          if (line.length >= shortestSecret && !plainValues.has(line) && !nameOf.has(line)) nameOf.set(line, name)
  const values = [...nameOf.keys()].sort()
  const beginnings = new Uint32Array(1 << (hashBits - 5))
  for (const value of values) {
    const slot = slotOf(firstHash(value))
    beginnings[slot >>> 5] = (beginnings[slot >>> 5] as number) | (1 << (slot & 31))
  }
  return { values, names: values.map((value) => nameOf.get(value) ?? ''), beginnings }
}

/** `toWellFormed`: a lone surrogate has no form in a URL. */
const formsOf = (value: string): string[] => [value, encodeURIComponent(value.toWellFormed()), JSON.stringify(value).slice(1, -1)]

function maskText(index: Index, text: string, cut: boolean, before: Range | null): { text: string; open: Range | null } {
  let shown = ''
  let copied = 0
  let at = 0
  let open: Range | null = null
  const hide = (to: number, which: number) => {
    shown += `${text.slice(copied, at)}[secret ${index.names[which]}]`
    at = to
    copied = to
  }
  if (before) {
    const found = follow(index, text, 0, before)
    if (found.end === text.length && cut) open = found.range
    if (found.end > 0) hide(found.end, found.range.from)
  }
  // The last position that a value fits behind; the few after it matter where a value may be cut.
  const last = text.length - shortestSecret
  let hash = last >= 0 ? firstHash(text) : 0
  for (let hashed = 0; at < (cut ? text.length : last + 1); ) {
    const written = text.charCodeAt(at) === openBracket ? replacementAt(index, text, at) : 0
    if (written > 0) {
      at += written
      continue
    }
    if (at <= last) {
      for (; hashed < at; hashed++) hash = nextHash(hash, text.charCodeAt(hashed), text.charCodeAt(hashed + shortestSecret))
      if (!isBeginning(index.beginnings, hash)) {
        at += 1
        continue
      }
    }
    const found = follow(index, text, at, { from: 0, to: index.values.length, depth: 0 })
    const length = found.end - at
    const atCut = cut && found.end === text.length && length > 0
    if (atCut) open ??= found.range
    const whole = Math.max(found.whole, length >= tellingLength || (atCut && length >= shortestSecret) ? length : 0)
    if (whole > 0) hide(at + whole, found.which)
    else at += 1
  }
  return { text: copied === 0 ? text : shown + text.slice(copied), open }
}

const openBracket = 0x5b
const replacement = /\[secret ([A-Za-z_]\w{0,254})\]/y

/** Length of a replacement that an earlier pass wrote here: masked text stays as it is. */
function replacementAt(index: Index, text: string, at: number): number {
  replacement.lastIndex = at
  const found = replacement.exec(text)
  return found && index.names.includes(found[1] as string) ? found[0].length : 0
}

/** Goes on from `range` for as long as some value agrees with the text at `start`. `whole`: length of the longest value that is there in full. */
function follow(index: Index, text: string, start: number, range: Range): { end: number; range: Range; whole: number; which: number } {
  const { values } = index
  let { from, to, depth } = range
  let end = start
  let whole = 0
  let which = from
  while (end < text.length) {
    const wanted = text.charCodeAt(end)
    // Sorted: where the outermost two agree, so do all between them.
    if (charAt(values, from, depth) !== wanted || charAt(values, to - 1, depth) !== wanted) {
      const first = lowerBound(values, from, to, depth, wanted)
      const last = lowerBound(values, first, to, depth, wanted + 1)
      if (first === last) break
      from = first
      to = last
    }
    depth += 1
    end += 1
    if (whole === 0) which = from
    if (values[from]?.length === depth) {
      whole = end - start
      which = from
    }
  }
  if (end - start >= tellingLength && end - start > whole) which = from
  return { end, range: { from, to, depth }, whole, which }
}

const charAt = (values: readonly string[], index: number, depth: number): number => values[index]?.charCodeAt(depth) ?? Number.NaN

/** First index in the range whose value has at least this character at `depth`; a value that has ended comes before every character. */
function lowerBound(values: readonly string[], from: number, to: number, depth: number, wanted: number): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >> 1
    const value = values[middle] as string
    if (value.length > depth && value.charCodeAt(depth) >= wanted) high = middle
    else low = middle + 1
  }
  return low
}
