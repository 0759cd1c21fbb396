import type { EngineLimits } from '../../env'
import type { KeptFacts } from '../downstream'
import type { Visitor } from '../headers/visitor'
import { newRequestId, requestIdBytes } from '../request-id'
import { FieldIndex, scanFields } from './parse/fields'
import { parseRequestHead, RequestHead } from './parse/request-head'

/** Shared: every head is parsed into this object, and facts needed after the turn are copied. */
export const parsedHead = new RequestHead()
/** The facts whose lines `parsedHead` currently contains. */
let parsedFor: HeadFacts | null = null
/** Lines for facts that are requested after the turn, scanned again from copied bytes. */
const laterLines = new FieldIndex()
let laterFor: HeadFacts | null = null

const nothing = Buffer.alloc(0)
/** Behind the target: " HTTP/1.1" CRLF. */
const afterTarget = 11

/** Request facts, decoded from the bytes of a head on demand. One object per connection, reused for each request. */
export class HeadFacts implements KeptFacts {
  method = ''
  host = ''
  authority = ''
  /** The text of the request id, as bytes. */
  readonly id = Buffer.allocUnsafeSlow(requestIdBytes)
  visitor: Visitor
  #bytes: Buffer = nothing
  #start = 0
  #end = 0
  #targetStart = 0
  #targetEnd = 0
  #target: string | null = null
  #idText: string | null = null
  /** The last Accept-Encoding of the connection: nearly every request repeats it. */
  #encodings = ''
  /** The bytes are a separate copy, exactly as long as the head. */
  #own = false

  constructor(visitor: Visitor) {
    this.visitor = visitor
  }

  get scheme(): 'http' | 'https' {
    return this.visitor.scheme
  }

  get clientIp(): string {
    return this.visitor.ip
  }

  get forwardedFor(): string {
    return this.visitor.forwardedFor
  }

  /** The facts of the head that was just parsed. */
  take(bytes: Buffer, host: string, authority: string): void {
    this.#reset()
    this.#own = false
    this.method = parsedHead.method
    this.host = host
    this.authority = authority
    this.#bytes = bytes
    this.#start = parsedHead.start
    this.#end = parsedHead.end
    this.#targetStart = parsedHead.targetStart
    this.#targetEnd = parsedHead.targetEnd
    parsedFor = this
  }

  /** For a head that could not be parsed: only the client is known. */
  takeNothing(): void {
    this.#reset()
    this.method = ''
    this.host = ''
    this.authority = ''
    this.#bytes = nothing
    this.#start = this.#end = this.#targetStart = this.#targetEnd = 0
    parsedFor = null
  }

  #reset(): void {
    this.#target = null
    this.#idText = null
    newRequestId(this.id)
    if (laterFor === this) laterFor = null
  }

  get requestId(): string {
    this.#idText ??= this.id.toString('latin1')
    return this.#idText
  }

  /** Path and query as sent. */
  get target(): string {
    this.#target ??= this.#bytes.toString('latin1', this.#targetStart, this.#targetEnd)
    return this.#target
  }

  get path(): string {
    const { target } = this
    const mark = target.indexOf('?')
    return mark === -1 ? target : target.slice(0, mark)
  }

  get query(): string {
    const { target } = this
    const mark = target.indexOf('?')
    return mark === -1 ? '' : target.slice(mark)
  }

  header(name: string): string | undefined {
    const lines = this.#lines()
    if (lines === null) return undefined
    if (name !== 'accept-encoding') return lines.joined(this.#bytes, name, name === 'cookie' ? '; ' : ', ')
    const line = lines.only(this.#bytes, name)
    if (line !== -1 && lines.says(this.#bytes, line, this.#encodings)) return this.#encodings
    const text = lines.joined(this.#bytes, name, ', ')
    this.#encodings = text ?? ''
    return text
  }

  has(name: string): boolean {
    return this.#lines()?.has(this.#bytes, name) ?? false
  }

  #lines(): FieldIndex | null {
    if (parsedFor === this && this.#bytes !== nothing) return parsedHead.fields
    if (this.#end === this.#start) return null
    if (laterFor !== this) {
      scanFields(laterLines, this.#bytes, this.#targetEnd + afterTarget, this.#end, Number.POSITIVE_INFINITY)
      laterFor = this
    }
    return laterLines
  }

  detach(): void {
    const size = this.#end - this.#start
    if (this.#own || size === 0) return
    const copy = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(copy, 0, this.#start, this.#end)
    this.#moveTo(copy)
    this.#own = true
  }

  movedTo(sent: Buffer): void {
    if (!this.#own) this.#moveTo(sent)
  }

  /** Parses this head into `parsedHead` again if another head replaced it; only before the head was sent. Returns its bytes. */
  lend(limits: EngineLimits): Buffer {
    if (parsedFor !== this) {
      parseRequestHead(parsedHead, this.#bytes, this.#start, this.#end, limits)
      parsedFor = this
    }
    return this.#bytes
  }

  /** Called before the next head overwrites the shared lines or the read buffer. */
  #moveTo(bytes: Buffer): void {
    this.#targetStart -= this.#start
    this.#targetEnd -= this.#start
    this.#bytes = bytes
    this.#start = 0
    this.#end = bytes.length
    if (parsedFor === this) parsedFor = null
    if (laterFor === this) laterFor = null
  }
}
