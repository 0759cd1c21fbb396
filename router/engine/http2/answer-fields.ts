import type { HeaderEdits, LocalAnswer } from '../../gate/gate'
import { prepareEdits } from '../headers/edits'
import type { AnswerHead } from '../http1/parse/answer-head'
import { requestIdBytes } from '../request-id'
import { encodeField, encodeStatus } from './hpack/encoder'

const slots = 2_048
/** Longer lines rarely repeat. */
const maxCached = 256

/**
 * Caches header lines of instances encoded as HPACK, keyed by their bytes: apps repeat the same lines, and a lookup is cheaper than
 * encoding. A direct-mapped cache: each line has one slot, and a new line replaces the previous one.
 */
class LineCache {
  readonly #lines: (Buffer | null)[] = Array.from({ length: slots }, () => null)
  readonly #encoded: Buffer[] = []

  /** Encodes a header line. Bytes `start` to `nameEnd` are the name, `valueStart` to `end` the value. */
  encode(bytes: Buffer, start: number, nameEnd: number, valueStart: number, end: number): Buffer {
    const length = end - start
    if (length > maxCached) return encodeLine(bytes, start, nameEnd, valueStart, end)
    let hash = length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
    const slot = (hash ^ (hash >>> 15)) & (slots - 1)
    const line = this.#lines[slot]
    if (line?.length === length && sameBytes(line, bytes, start)) return this.#encoded[slot] as Buffer
    const encoded = encodeLine(bytes, start, nameEnd, valueStart, end)
    // Cookies belong to one visitor: do not cache them.
    if (!isSetCookie(bytes, start, nameEnd)) {
      this.#lines[slot] = ownCopy(bytes.subarray(start, end))
      this.#encoded[slot] = ownCopy(encoded)
    }
    return encoded
  }
}

/** Allocates separately: a small Buffer from Node's pool would keep 8 KiB alive. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

function sameBytes(line: Buffer, bytes: Buffer, start: number): boolean {
  for (let i = 0; i < line.length; i++) if (line[i] !== bytes[start + i]) return false
  return true
}

const isSetCookie = (bytes: Buffer, start: number, nameEnd: number) =>
  nameEnd - start === 10 && bytes.toString('latin1', start, nameEnd).toLowerCase() === 'set-cookie'

function encodeLine(bytes: Buffer, start: number, nameEnd: number, valueStart: number, end: number): Buffer {
  return encodeField(bytes.toString('latin1', start, nameEnd).toLowerCase(), bytes.toString('latin1', valueStart, end))
}

const lines = new LineCache()

let dateSecond = 0
let dateField: Buffer = Buffer.alloc(0)

function date(): Buffer {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateField = encodeField('date', new Date(second * 1000).toUTCString())
  }
  return dateField
}

// The request id is new for each answer: its name is encoded once, its characters follow unencoded after the length byte.
const requestIdName = Buffer.concat([encodeField('x-request-id', '').subarray(0, -1), Buffer.from([requestIdBytes])])

interface EncodedEdits {
  cut: ReadonlySet<string> | null
  fields: Buffer[]
}

const encodedEdits = new WeakMap<HeaderEdits, EncodedEdits>()

/** Rules return the same edits object for thousands of requests: encode each object once. */
function encodeEdits(edits: HeaderEdits): EncodedEdits {
  let ready = encodedEdits.get(edits)
  if (ready === undefined) {
    ready = {
      cut: prepareEdits(edits).cut,
      fields: [...edits.set, ...edits.append].map(([name, value]) => encodeField(name.toLowerCase(), clean(value))),
    }
    encodedEdits.set(edits, ready)
  }
  return ready
}

// Removes characters that are forbidden in field values (RFC 9113 §8.2.1): users write the rules.
const clean = (value: string) => value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').trim()

/** Appends the head of an instance's answer to `fields`, without the fields that the edits remove. */
export function encodeAnswerHead(
  fields: Buffer[],
  head: AnswerHead,
  edits: HeaderEdits | null,
  setCookie: string | null,
  id: Buffer,
  status = head.status,
): void {
  const { bytes } = head
  const { count, lineStart, nameEnd, valueStart, valueEnd, cut } = head.fields
  const ready = edits === null ? null : encodeEdits(edits)
  if (ready !== null && ready.cut !== null) head.fields.cutNames(bytes, ready.cut)
  fields.push(encodeStatus(status))
  for (let line = 0; line < count; line++)
    if (cut[line] === 0)
      fields.push(lines.encode(bytes, lineStart[line] as number, nameEnd[line] as number, valueStart[line] as number, valueEnd[line] as number))
  if (ready !== null) fields.push(...ready.fields)
  if (setCookie !== null) fields.push(encodeField('set-cookie', clean(setCookie)))
  if (!head.hasDate) fields.push(date())
  fields.push(requestIdName, id)
}

/** Fields that the writer sets itself, and connection-specific fields that HTTP/2 forbids (RFC 9113 §8.2.2). */
const notPassed = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'date', 'x-request-id'])

/** Encodes the head of an answer made by the router. */
export function encodeLocalHead(answer: LocalAnswer, id: Buffer): Buffer[] {
  const fields = [encodeStatus(answer.status)]
  for (const [name, value] of answer.headers) {
    const lower = name.toLowerCase()
    if (!notPassed.has(lower)) fields.push(encodeField(lower, clean(value)))
  }
  fields.push(date(), requestIdName, id)
  return fields
}

const earlyHints = encodeStatus(103)

/** 103 with its Link lines alone (RFC 8297), or null when it has none. */
export function encodeEarlyHints(head: AnswerHead): Buffer[] | null {
  const fields = [earlyHints]
  for (let line = 0; line < head.fields.count; line++)
    if (head.fields.is(head.bytes, line, 'link')) fields.push(encodeField('link', head.fields.value(head.bytes, line)))
  return fields.length > 1 ? fields : null
}

export const encodedContinue = [encodeStatus(100)]

/** Trailer fields of an instance, or null when none may pass. */
export function encodeTrailers(trailers: readonly (readonly [string, string])[]): Buffer[] | null {
  const fields: Buffer[] = []
  for (const [name, value] of trailers) {
    const lower = name.toLowerCase()
    if (!notPassed.has(lower) && !lower.startsWith(':') && lower !== 'te' && lower !== 'trailer') fields.push(encodeField(lower, clean(value)))
  }
  return fields.length > 0 ? fields : null
}
