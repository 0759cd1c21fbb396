import type { HeaderEdits, LocalAnswer } from '../../gate/gate'
import { prepareEdits } from '../headers/edits'
import type { AnswerHead } from '../http1/parse/answer-head'
import { requestIdBytes } from '../request-id'
import { encodeField, encodeStatus } from './hpack/encoder'

const slots = 2_048
/** Longer lines are seldom the same twice. */
const mostCached = 256

/**
 * Header lines of instances as HPACK, kept by their very bytes: an app says the same lines again and again, and to recognise one costs
 * less than to encode it. Each line has one place; a line that comes later takes it.
 */
class LineCache {
  readonly #lines: (Buffer | null)[] = Array.from({ length: slots }, () => null)
  readonly #encoded: Buffer[] = []

  /** The line whose name and value, with what is between, are bytes `start` to `end`. */
  encode(bytes: Buffer, start: number, nameEnd: number, valueStart: number, end: number): Buffer {
    const length = end - start
    if (length > mostCached) return encodeLine(bytes, start, nameEnd, valueStart, end)
    let hash = length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
    const slot = (hash ^ (hash >>> 15)) & (slots - 1)
    const line = this.#lines[slot]
    if (line?.length === length && sameBytes(line, bytes, start)) return this.#encoded[slot] as Buffer
    const encoded = encodeLine(bytes, start, nameEnd, valueStart, end)
    // Cookies belong to one visitor.
    if (!isSetCookie(bytes, start, nameEnd)) {
      this.#lines[slot] = ownCopy(bytes.subarray(start, end))
      this.#encoded[slot] = ownCopy(encoded)
    }
    return encoded
  }
}

/** Memory of its own: a small Buffer from Node's pool would keep 8 KiB alive. */
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

// The id is new each time: its name is encoded once, its characters are sent as they are, behind their number.
const requestIdName = Buffer.concat([encodeField('x-request-id', '').subarray(0, -1), Buffer.from([requestIdBytes])])

interface EncodedEdits {
  cut: ReadonlySet<string> | null
  fields: Buffer[]
}

const encodedEdits = new WeakMap<HeaderEdits, EncodedEdits>()

/** Rules give the same edits for thousands of requests: encoded once for each object. */
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

// What no field value may hold (RFC 9113 §8.2.1); rules are data of users.
const clean = (value: string) => value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').trim()

/** Appends the head of an instance's answer to `fields`, less what its edits take away. */
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

/** The writer's own, and what HTTP/2 does not know (RFC 9113 §8.2.2). */
const notPassed = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'date', 'x-request-id'])

/** The head of an answer of ours. */
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
