import { STATUS_CODES } from 'node:http'
import type { HeaderEdits, LocalAnswer } from '../../gate/gate'
import { headerLine, prepareEdits, putFields } from '../headers/edits'
import type { Outbox } from '../io/slab'
import type { AnswerHead } from './parse/answer-head'

const chunkedLine = Buffer.from('Transfer-Encoding: chunked\r\n')
const closeLine = Buffer.from('Connection: close\r\n')
const keepAliveLine = Buffer.from('Connection: keep-alive\r\n')
const upgradeLines = Buffer.from('Connection: Upgrade\r\nUpgrade: websocket\r\n')
const requestIdName = Buffer.from('X-Request-Id: ')
const headEnd = Buffer.from('\r\n\r\n')
const crlf = Buffer.from('\r\n')
const lastChunk = Buffer.from('0\r\n')
const statusOk = 'HTTP/1.1 200 OK\r\n'

/** Framing of an answer's body for an HTTP/1 client. */
export const bodyless = 0
export const counted = 1
export const chunked = 2
/** Delimited by the end of the connection: HTTP/1.0 has no chunks. */
export const untilClose = 3

/** Properties of the request and connection that determine an answer's head. */
export interface AnswerContext {
  isHead: boolean
  /** No chunked framing: HTTP/1.0, or an HTTP answer to a handshake. The end of the connection delimits the body. */
  old: boolean
  /** The connection ends after this answer. */
  close: boolean
  /** HTTP/1.0 with keep-alive: the answer confirms it. */
  keepAliveLine: boolean
  requestId: Buffer
}

let dateSecond = 0
let dateLine = Buffer.alloc(0)

function date(): Buffer {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateLine = Buffer.from(`Date: ${new Date(second * 1000).toUTCString()}\r\n`)
  }
  return dateLine
}

const hasNoBody = (status: number) => status === 204 || status === 304 || status < 200

/** Writes the head of an instance's answer. Returns how its body is delimited; `untilClose` implies the end of the connection. */
export function writeAnswerHead(out: Outbox, head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null, context: AnswerContext): number {
  const framing = framingOf(head, context)
  writeFields(out, head, edits)
  if (setCookie !== null) out.text(headerLine('Set-Cookie', setCookie))
  if (framing === chunked) out.putAll(chunkedLine)
  if (!head.hasDate) out.putAll(date())
  writeEnd(out, context, framing)
  return framing
}

// A status line in the usual form is copied together with the following lines; any other is written anew.
function writeFields(out: Outbox, head: AnswerHead, edits: HeaderEdits | null): void {
  const { fields, bytes } = head
  const usual = head.minor === 1 && head.reasonStart - head.start === 13
  if (!usual) out.text(`HTTP/1.1 ${head.status} ${head.reason()}\r\n`)
  const ready = edits === null ? null : prepareEdits(edits)
  if (ready !== null && ready.cut !== null) fields.cutNames(bytes, ready.cut)
  putFields(out, bytes, fields, usual ? head.start : -1)
  if (ready !== null) out.putAll(ready.lines)
}

function framingOf(head: AnswerHead, { isHead, old }: AnswerContext): number {
  if (isHead || hasNoBody(head.status)) return bodyless
  if (head.contentLength >= 0) return counted
  return old ? untilClose : chunked
}

function writeEnd(out: Outbox, context: AnswerContext, framing: number): void {
  out.putAll(requestIdName)
  out.putAll(context.requestId)
  if (context.close || framing === untilClose) {
    out.putAll(crlf)
    out.putAll(closeLine)
    out.putAll(crlf)
  } else if (context.keepAliveLine) {
    out.putAll(crlf)
    out.putAll(keepAliveLine)
    out.putAll(crlf)
  } else out.putAll(headEnd)
}

/** Writes a 103 with its Link lines only (RFC 8297). HTTP/1.0 clients get none. */
export function writeEarlyHints(out: Outbox, head: AnswerHead): void {
  const { fields, bytes } = head
  let any = false
  for (let line = 0; line < fields.count; line++) {
    if (!fields.is(bytes, line, 'link')) continue
    if (!any) out.text('HTTP/1.1 103 Early Hints\r\n')
    any = true
    out.put(bytes, fields.lineStart[line] as number, fields.lineStart[line + 1] as number)
  }
  if (any) out.putAll(crlf)
}

/** Writes the head of a 101. */
export function writeSwitch(out: Outbox, head: AnswerHead, edits: HeaderEdits | null, setCookie: string | null, requestId: Buffer): void {
  writeFields(out, head, edits)
  if (setCookie !== null) out.text(headerLine('Set-Cookie', setCookie))
  out.putAll(upgradeLines)
  out.putAll(requestIdName)
  out.putAll(requestId)
  out.putAll(headEnd)
}

/** Writes a piece of the body. */
export function writeBody(out: Outbox, framing: number, bytes: Buffer, start: number, end: number): void {
  if (framing === bodyless || end === start) return
  if (framing === chunked) {
    out.chunkSize(end - start)
    out.put(bytes, start, end)
    out.putAll(crlf)
  } else out.put(bytes, start, end)
}

/** The end of a chunked body. */
export function writeBodyEnd(out: Outbox, framing: number, trailers: [string, string][] | null): void {
  if (framing !== chunked) return
  out.putAll(lastChunk)
  if (trailers !== null) for (const [name, value] of trailers) out.text(headerLine(name, value))
  out.putAll(crlf)
}

/** Fields that the writer sets; those of a local answer are left out. */
const writersOwn = new Set(['connection', 'keep-alive', 'date', 'x-request-id', 'transfer-encoding'])

/** Writes the head of a local answer. Returns how its body is delimited. */
export function writeLocalHead(out: Outbox, answer: LocalAnswer, context: AnswerContext): number {
  const framing = localFraming(answer, context)
  if (answer.head !== undefined) out.putAll(answer.head)
  else {
    const reason = answer.reason ?? STATUS_CODES[answer.status] ?? 'Unknown'
    out.text(answer.status === 200 && reason === 'OK' ? statusOk : `HTTP/1.1 ${answer.status} ${reason}\r\n`)
    for (const [name, value] of answer.headers) if (!writersOwn.has(name.toLowerCase())) out.text(headerLine(name, value))
  }
  if (framing === chunked) out.putAll(chunkedLine)
  out.putAll(date())
  writeEnd(out, context, framing)
  return framing
}

function localFraming(answer: LocalAnswer, { isHead, old }: AnswerContext): number {
  if (isHead || hasNoBody(answer.status) || answer.body === null) return bodyless
  if (Buffer.isBuffer(answer.body) || answer.headers.some(([name]) => name.toLowerCase() === 'content-length')) return counted
  return old ? untilClose : chunked
}
