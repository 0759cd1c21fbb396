import { FieldIndex, incomplete, malformed, scanFields } from './fields'
import * as names from './names'
import { readDigits } from './request-head'
import { CR, LF, nameBytes, SPACE, spells, valueByte } from './tables'

/** Limits for an answer's head; a larger one is invalid. */
export const answerHeadLimits = { bytes: 65_536, lines: 512 }

const chunkedName = nameBytes('chunked')

/** One answer head, as offsets into the bytes it was read from; reused for every head, valid until the next is parsed. */
export class AnswerHead {
  readonly fields = new FieldIndex()
  /** The bytes to which the offsets refer. */
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  status = 0
  reasonStart = 0
  reasonEnd = 0
  minor = 1
  /** -1: absent. */
  contentLength = -1
  chunked = false
  close = false
  keepAlive = false
  hasDate = false

  /** A field by its lower-case name, repeated lines joined. */
  readonly read = (name: string): string | undefined => this.fields.joined(this.bytes, name, ', ')

  reason(): string {
    return this.bytes.toString('latin1', this.reasonStart, this.reasonEnd)
  }

  /** Header lines to forward, as pairs. */
  list(): [string, string][] {
    const { fields, bytes } = this
    const pairs: [string, string][] = []
    for (let line = 0; line < fields.count; line++)
      if (fields.cut[line] === 0)
        pairs.push([bytes.toString('latin1', fields.lineStart[line] as number, fields.nameEnd[line] as number), fields.value(bytes, line)])
    return pairs
  }
}

/**
 * Parses the answer head that begins at `start`, strictly.
 * @returns the offset behind it, 0 when bytes are missing, -1 when it cannot be read as an HTTP answer.
 */
export function parseAnswerHead(head: AnswerHead, bytes: Buffer, start: number, end: number): number {
  const line = parseStatusLine(head, bytes, start, end)
  if (line <= 0) return line === incomplete && end - start > answerHeadLimits.bytes ? malformed : line
  const after = scanFields(head.fields, bytes, line, end, answerHeadLimits.lines)
  if (after === incomplete) return end - start > answerHeadLimits.bytes ? malformed : incomplete
  if (after < 0) return malformed
  head.end = after
  return readFields(head) ? after : malformed
}

const versionBytes = Uint8Array.from(Buffer.from('HTTP/1.'))

// "HTTP/1." digit SP 3 digits [SP reason] CRLF
function parseStatusLine(head: AnswerHead, bytes: Buffer, start: number, end: number): number {
  for (let i = 0; i < versionBytes.length && start + i < end; i++) if (bytes[start + i] !== versionBytes[i]) return malformed
  if (end - start < 14) return incomplete
  const minor = (bytes[start + 7] as number) - 48
  if (minor < 0 || minor > 1 || bytes[start + 8] !== SPACE) return malformed
  const status = readDigits(bytes, start + 9, start + 12)
  if (status < 100) return malformed
  let i = start + 12
  if (bytes[i] === SPACE) i++
  else if (bytes[i] !== CR) return malformed
  head.reasonStart = i
  while (i < end && valueByte[bytes[i] as number] === 1) i++
  if (i >= end) return incomplete
  if (bytes[i] !== CR) return malformed
  if (i + 1 >= end) return incomplete
  if (bytes[i + 1] !== LF) return malformed
  head.bytes = bytes
  head.start = start
  head.reasonEnd = i
  head.minor = minor
  head.status = status
  return i + 2
}

function readFields(head: AnswerHead): boolean {
  const { fields, bytes } = head
  head.contentLength = -1
  head.chunked = false
  head.close = false
  head.keepAlive = false
  head.hasDate = false
  let nominated = false
  for (let line = 0; line < fields.count; line++) {
    const meaning = names.answerMeaning(bytes, fields.lineStart[line] as number, fields.nameEnd[line] as number)
    if (meaning === names.plain) continue
    if (meaning === names.date) head.hasDate = true
    else if (meaning === names.contentLength) {
      if (!readLength(head, line)) return false
    } else {
      fields.cut[line] = 1
      if (meaning === names.connection) {
        const said = names.readConnection(bytes, fields.valueStart[line] as number, fields.valueEnd[line] as number)
        if (said.close) head.close = true
        if (said.keepAlive) head.keepAlive = true
        if (said.nominates) nominated = true
      } else if (meaning === names.transferEncoding && !readCoding(head, line)) return false
    }
  }
  if (nominated) cutNominated(head)
  // A chunked HTTP/1.0 answer is invalid, but its end is known; the connection is not reused (RFC 9112 §6.1).
  if (head.minor === 0 && (head.chunked || !head.keepAlive)) head.close = true
  // The answer has no body, whatever its head says (RFC 9112 §6.3). But an instance that announces one may send it, so the connection is
  // not reused.
  if (head.chunked ? head.status === 204 || head.status === 304 : head.status === 204 && head.contentLength > 0) head.close = true
  return true
}

function readLength(head: AnswerHead, line: number): boolean {
  if (head.contentLength !== -1 || head.chunked) return false
  head.contentLength = readDigits(head.bytes, head.fields.valueStart[line] as number, head.fields.valueEnd[line] as number)
  // RFC 9110 §8.6: a 204 has no Content-Length.
  if (head.status === 204) head.fields.cut[line] = 1
  return head.contentLength >= 0
}

function readCoding(head: AnswerHead, line: number): boolean {
  const start = head.fields.valueStart[line] as number
  if (head.chunked || head.contentLength !== -1) return false
  head.chunked = (head.fields.valueEnd[line] as number) - start === chunkedName.length && spells(head.bytes, start, chunkedName)
  return head.chunked
}

// Content-Length determines framing: Connection must not remove it.
function cutNominated(head: AnswerHead): void {
  const { fields, bytes } = head
  const nominated = new Set<string>()
  for (let line = 0; line < fields.count; line++)
    if (fields.is(bytes, line, 'connection')) for (const token of fields.value(bytes, line).split(',')) nominated.add(token.trim().toLowerCase())
  nominated.delete('content-length')
  nominated.delete('date')
  fields.cutNames(bytes, nominated)
}
