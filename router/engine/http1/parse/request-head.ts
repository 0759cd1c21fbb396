import { METHODS } from 'node:http'
import type { EngineLimits } from '../../../env'
import type { Refusal } from '../../http-proxy/request-rules'
import { FieldIndex, incomplete, malformed, scanFields, tooMany } from './fields'
import * as names from './names'
import { CR, LF, nameBytes, SPACE, spells, targetByte, tokenByte } from './tables'

/** Methods by their bytes as text. SOURCE belongs to ICE, which Node's parser also reads. */
const knownMethods = new Map(METHODS.filter((method) => method !== 'SOURCE').map((method) => [method, method]))

/** Longest method name in bytes. */
const maxMethodLength = 20

/** The method in these bytes; undefined: unknown to HTTP. Common methods allocate no string. */
function methodOf(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start
  if (length === 3 && bytes[start] === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84) return 'GET'
  if (length === 4 && bytes[start] === 80 && bytes[start + 1] === 79 && bytes[start + 2] === 83 && bytes[start + 3] === 84) return 'POST'
  if (length === 4 && bytes[start] === 72 && bytes[start + 1] === 69 && bytes[start + 2] === 65 && bytes[start + 3] === 68) return 'HEAD'
  return length > maxMethodLength ? undefined : knownMethods.get(bytes.toString('latin1', start, end))
}

const refuse = (status: Refusal['status'], detail: string): Refusal => ({ status, detail })
export const notHttp = refuse(400, 'The request is not valid HTTP/1.1.')
/** The refusal of a Host header that is not a hostname. */
export const notHost = refuse(400, 'The Host header is not a hostname.')
const refusals = {
  method: refuse(501, 'This is not a method of HTTP.'),
  version: refuse(505, 'Only HTTP/1.1 and HTTP/1.0 are spoken here.'),
  trace: refuse(405, 'TRACE is not served here.'),
  connect: refuse(405, 'CONNECT is not served here.'),
  asterisk: refuse(400, 'The target "*" belongs to OPTIONS alone.'),
  absolute: refuse(400, 'The request target must be a path; absolute-form is for forward proxies.'),
  nominated: refuse(400, 'Connection must not name Host or Content-Length.'),
  host: refuse(400, 'A request needs exactly one Host header.'),
  lengths: refuse(400, 'More than one Content-Length.'),
  length: refuse(400, 'Content-Length is not a number.'),
  both: refuse(400, 'Content-Length beside Transfer-Encoding.'),
  codingInOld: refuse(400, 'Transfer-Encoding does not exist in HTTP/1.0.'),
  coding: refuse(501, 'The only transfer coding served here is "chunked".'),
  expectation: refuse(417, 'The only expectation served here is "100-continue".'),
}

const chunkedName = nameBytes('chunked')
const websocketName = nameBytes('websocket')
const continueName = nameBytes('100-continue')

/** One request head, as offsets into the bytes it was read from; reused for every head, valid until the next is parsed. */
export class RequestHead {
  readonly fields = new FieldIndex()
  start = 0
  /** Behind the empty line. */
  end = 0
  method = ''
  targetStart = 0
  targetEnd = 0
  /** 0 or 1: HTTP/1.x. */
  minor = 1
  /** -1: no Host line yet. */
  hostStart = -1
  hostEnd = -1
  /** -1: absent. */
  contentLength = -1
  chunked = false
  /** The client asks to close the connection, or in HTTP/1.0 to keep it. */
  close = false
  keepAlive = false
  /** A WebSocket handshake without a body: the only supported upgrade (RFC 9110 §7.8 allows ignoring others). */
  upgrade = false
  expectsContinue = false
  /** Well-formed but not served. */
  refusal: Refusal | null = null

  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0
  }
}

/**
 * Parses a head strictly (RFC 9112): input that two servers could interpret differently is refused, never repaired.
 * @returns the offset after the head (`refusal`: it must not be served), 0 when bytes are missing, -1 when it is not HTTP (`refusal` has
 * the reason).
 */
export function parseRequestHead(head: RequestHead, bytes: Buffer, start: number, end: number, limits: EngineLimits): number {
  const line = parseRequestLine(head, bytes, start, end)
  if (line <= 0) return line === incomplete ? incompleteOrTooLarge(head, start, end, end, limits) : malformed
  const after = scanFields(head.fields, bytes, line, end, limits.maxHeaders)
  if (after === incomplete) return incompleteOrTooLarge(head, start, line, end, limits)
  if (after === tooMany) return refused(head, refuse(431, `More than ${limits.maxHeaders} header lines.`))
  if (after === malformed) return refused(head, notHttp)
  if (after - start > limits.maxHeaderBytes) return refused(head, tooLarge(line - start, limits))
  head.end = after
  const inFields = readFields(head, bytes)
  head.refusal ??= inFields
  return after
}

function refused(head: RequestHead, refusal: Refusal): number {
  head.refusal = refusal
  return malformed
}

/** RFC 9112 §3: a request line that alone exceeds the limit is answered with 414. */
function tooLarge(lineBytes: number, { maxHeaderBytes }: EngineLimits): Refusal {
  if (lineBytes > maxHeaderBytes) return refuse(414, `The request target is longer than ${maxHeaderBytes} bytes.`)
  return refuse(431, `The request head is larger than ${maxHeaderBytes} bytes.`)
}

/** `lineEnd`: end of the request line, or of the part received so far. */
function incompleteOrTooLarge(head: RequestHead, start: number, lineEnd: number, end: number, limits: EngineLimits): number {
  return end - start > limits.maxHeaderBytes ? refused(head, tooLarge(lineEnd - start, limits)) : incomplete
}

// method SP target SP "HTTP/1." digit CRLF, one space each.
function parseRequestLine(head: RequestHead, bytes: Buffer, start: number, end: number): number {
  head.start = start
  head.refusal = null
  let i = start
  while (i < end && tokenByte[bytes[i] as number] === 1) i++
  if (i >= end) return i - start > maxMethodLength ? refused(head, notHttp) : incomplete
  if (bytes[i] !== SPACE || i === start) return refused(head, notHttp)
  const method = methodOf(bytes, start, i)
  head.method = method ?? bytes.toString('latin1', start, Math.min(i, start + maxMethodLength))
  if (method === undefined) head.refusal = refusals.method
  head.targetStart = ++i
  while (i < end && targetByte[bytes[i] as number] === 1) i++
  if (i >= end) return incomplete
  if (bytes[i] !== SPACE || i === head.targetStart) return refused(head, notHttp)
  head.targetEnd = i++
  if (i + 10 > end) return startsLikeVersion(bytes, i, end) ? incomplete : refused(head, notHttp)
  if (!startsLikeVersion(bytes, i, end) || bytes[i + 8] !== CR || bytes[i + 9] !== LF) return refused(head, notHttp)
  const minor = (bytes[i + 7] as number) - 48
  if (bytes[i + 5] !== 49 || minor < 0 || minor > 1) {
    // HTTP/0.9 and HTTP/2.0 exist; other versions are malformed.
    const exists = (bytes[i + 5] === 50 && minor === 0) || (bytes[i + 5] === 48 && minor === 9)
    if (!exists) return refused(head, notHttp)
    head.refusal ??= refusals.version
  }
  head.minor = minor === 0 ? 0 : 1
  head.refusal ??= checkTarget(head, bytes)
  return i + 10
}

const versionBytes = Uint8Array.from(Buffer.from('HTTP/'))

function startsLikeVersion(bytes: Buffer, at: number, end: number): boolean {
  for (let i = 0; i < versionBytes.length && at + i < end; i++) if (bytes[at + i] !== versionBytes[i]) return false
  return at + 6 >= end || bytes[at + 6] === 46
}

function checkTarget(head: RequestHead, bytes: Buffer): Refusal | null {
  if (head.method === 'TRACE') return refusals.trace
  if (head.method === 'CONNECT') return refusals.connect
  const first = bytes[head.targetStart]
  if (first === 47) return null
  if (first === 42 && head.targetEnd - head.targetStart === 1) return head.method === 'OPTIONS' ? null : refusals.asterisk
  return refusals.absolute
}

function readFields(head: RequestHead, bytes: Buffer): Refusal | null {
  const { fields } = head
  head.hostStart = -1
  head.contentLength = -1
  head.chunked = false
  head.close = false
  head.keepAlive = false
  head.upgrade = false
  head.expectsContinue = false
  let wantsUpgrade = false
  let websocket = false
  let upgrades = 0
  let refusal: Refusal | null = null
  let nominated = false
  let codings = 0
  let coding = 0
  for (let line = 0; line < fields.count; line++) {
    const meaning = names.requestMeaning(bytes, fields.lineStart[line] as number, fields.nameEnd[line] as number)
    if (meaning === names.plain) continue
    if (meaning === names.host) refusal ??= readHost(head, line)
    else if (meaning === names.contentLength) refusal ??= readLength(head, bytes, line)
    else {
      fields.cut[line] = 1
      if (meaning === names.connection) {
        const said = names.readConnection(bytes, fields.valueStart[line] as number, fields.valueEnd[line] as number)
        if (said.close) head.close = true
        if (said.keepAlive) head.keepAlive = true
        if (said.upgrade) wantsUpgrade = true
        if (said.nominates) nominated = true
      } else if (meaning === names.transferEncoding) {
        if (codings++ === 0) coding = line
      } else if (meaning === names.upgrade) websocket = upgrades++ === 0 && valueIs(head, bytes, line, websocketName)
      else if (meaning === names.expect) refusal ??= readExpect(head, bytes, line)
    }
  }
  if (codings > 0) refusal ??= readCoding(head, bytes, codings, coding)
  if (refusal !== null) return refusal
  if (head.hostStart === -1) return refusals.host
  if (nominated && !cutNominated(head, bytes)) return refusals.nominated
  head.upgrade = wantsUpgrade && websocket && head.minor === 1 && head.method === 'GET' && !head.hasBody
  return null
}

function valueIs(head: RequestHead, bytes: Buffer, line: number, value: Uint8Array): boolean {
  const start = head.fields.valueStart[line] as number
  return (head.fields.valueEnd[line] as number) - start === value.length && spells(bytes, start, value)
}

function readHost(head: RequestHead, line: number): Refusal | null {
  if (head.hostStart !== -1) return refusals.host
  head.hostStart = head.fields.valueStart[line] as number
  head.hostEnd = head.fields.valueEnd[line] as number
  return null
}

function readLength(head: RequestHead, bytes: Buffer, line: number): Refusal | null {
  if (head.contentLength !== -1) return refusals.lengths
  const length = readDigits(bytes, head.fields.valueStart[line] as number, head.fields.valueEnd[line] as number)
  if (length < 0) return refusals.length
  head.contentLength = length
  return null
}

/** A number of 1 to 15 decimal digits and nothing else, or -1. */
export function readDigits(bytes: Uint8Array, start: number, end: number): number {
  if (end <= start || end - start > 15) return -1
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] as number) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

/** `lines`: number of Transfer-Encoding lines; `line`: the first of them. */
function readCoding(head: RequestHead, bytes: Buffer, lines: number, line: number): Refusal | null {
  if (head.contentLength !== -1) return refusals.both
  // `chunked` must be the last coding (RFC 9112 §6.1).
  if (!valueIs(head, bytes, line, chunkedName)) return /^$|chunked[ \t]*,/i.test(head.fields.value(bytes, line)) ? notHttp : refusals.coding
  if (lines > 1) return notHttp
  if (head.minor === 0) return refusals.codingInOld
  head.chunked = true
  return null
}

function readExpect(head: RequestHead, bytes: Buffer, line: number): Refusal | null {
  if (head.minor === 0) return null
  if (!valueIs(head, bytes, line, continueName)) return refusals.expectation
  head.expectsContinue = true
  return null
}

// Rare: removes lines named by the client's Connection. Removing Host or Content-Length would change the target or the length of a request.
function cutNominated(head: RequestHead, bytes: Buffer): boolean {
  const { fields } = head
  const nominated = new Set<string>()
  for (let line = 0; line < fields.count; line++)
    if (fields.is(bytes, line, 'connection')) for (const token of fields.value(bytes, line).split(',')) nominated.add(token.trim().toLowerCase())
  if (nominated.has('host') || nominated.has('content-length')) return false
  fields.cutNames(bytes, nominated)
  return true
}
