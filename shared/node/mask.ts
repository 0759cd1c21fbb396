/** Masks the values of variables in text that is stored or shown. The time is linear in the length of the text, for any values. */

const minSecretLength = 6
/** A prefix of this length is masked even if the rest of the secret does not follow. */
const tellingLength = 32
/** Common words: masking them would make logs unreadable and protects nothing. */
const plainValues = new Set(['production', 'development', 'preview', 'staging', 'localhost'])

export type Env = Readonly<Record<string, string>>

/** Replaces every secret value in a text by its name. */
export interface Mask {
  (text: string): string
  /** Returns a mask for the pieces of a stream's long lines: a secret that is cut between two pieces is masked in both. */
  pieces(): (text: string, cut: boolean) => string
}

/** Values that match the text so far: `from <= index < to`, equal in their first `depth` characters. */
interface Range {
  from: number
  to: number
  depth: number
}

interface Index {
  /** Sorted by UTF-16 code units, so that values with a common prefix are adjacent. */
  values: readonly string[]
  names: readonly string[]
  /** Bloom filter over the hashes of the first 6 characters of all values: it excludes most positions of a text. */
  beginnings: Uint32Array
}

/**
 * Creates a mask. Each line of a value counts as a value (a PEM key is printed line by line), and so do its URL-encoded and JSON-escaped forms.
 * Values shorter than 6 characters and common words are not masked.
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
/** Factor of the character that leaves the rolling hash. */
const leaving = Array.from({ length: minSecretLength }).reduce((power: number) => Math.imul(power, factor), 1)

/** Hash of the first 6 characters. */
function firstHash(text: string): number {
  let hash = 0
  for (let at = 0; at < minSecretLength; at++) hash = (Math.imul(hash, factor) + text.charCodeAt(at)) | 0
  return hash
}

/** Rolling hash: moves the window of 6 characters by one. */
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
          if (line.length >= minSecretLength && !plainValues.has(line) && !nameOf.has(line)) nameOf.set(line, name)
  const values = [...nameOf.keys()].sort()
  const beginnings = new Uint32Array(1 << (hashBits - 5))
  for (const value of values) {
    const slot = slotOf(firstHash(value))
    beginnings[slot >>> 5] = (beginnings[slot >>> 5] as number) | (1 << (slot & 31))
  }
  return { values, names: values.map((value) => nameOf.get(value) ?? ''), beginnings }
}

/** `toWellFormed`: encodeURIComponent throws on a lone surrogate. */
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
  // Last position where a value can start completely; a value that is cut at the end may start later.
  const last = text.length - minSecretLength
  let hash = last >= 0 ? firstHash(text) : 0
  for (let hashed = 0; at < (cut ? text.length : last + 1); ) {
    const written = text.charCodeAt(at) === openBracket ? replacementAt(index, text, at) : 0
    if (written > 0) {
      at += written
      continue
    }
    if (at <= last) {
      for (; hashed < at; hashed++) hash = nextHash(hash, text.charCodeAt(hashed), text.charCodeAt(hashed + minSecretLength))
      if (!isBeginning(index.beginnings, hash)) {
        at += 1
        continue
      }
    }
    const found = follow(index, text, at, { from: 0, to: index.values.length, depth: 0 })
    const length = found.end - at
    const atCut = cut && found.end === text.length && length > 0
    if (atCut) open ??= found.range
    const whole = Math.max(found.whole, length >= tellingLength || (atCut && length >= minSecretLength) ? length : 0)
    if (whole > 0) hide(at + whole, found.which)
    else at += 1
  }
  return { text: copied === 0 ? text : shown + text.slice(copied), open }
}

const openBracket = 0x5b
const replacement = /\[secret ([A-Za-z_]\w{0,254})\]/y

/** Length of a replacement that an earlier mask wrote at `at`: masked text stays unchanged. */
function replacementAt(index: Index, text: string, at: number): number {
  replacement.lastIndex = at
  const found = replacement.exec(text)
  return found && index.names.includes(found[1] as string) ? found[0].length : 0
}

/** Extends the match at `start` as long as some value agrees with the text. `whole`: length of the longest complete value. */
function follow(index: Index, text: string, start: number, range: Range): { end: number; range: Range; whole: number; which: number } {
  const { values } = index
  let { from, to, depth } = range
  let end = start
  let whole = 0
  let which = from
  while (end < text.length) {
    const wanted = text.charCodeAt(end)
    // The values are sorted: if the first and the last agree, all values between them do.
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

/** First index in the range whose value has a character of at least `wanted` at `depth`. A value that ends earlier sorts before every character. */
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
