import { type Field, FieldKind } from './hpack/field'

/** A request's head as HTTP/2 says it, checked by RFC 9113 §8.2 and §8.3; what HTTP itself asks for is left to the exchange. */
export interface RequestHead {
  method: string
  /** Of the URL, as the client says; says nothing about the connection. */
  scheme: string
  /** `:path`; empty for CONNECT. */
  path: string
  /** `:authority`, else the Host field; empty when there is neither. */
  authority: string
  /** The `:protocol` of an extended CONNECT (RFC 8441), or null. */
  protocol: string | null
  /** -1: none was named. */
  contentLength: number
  /** Every field but pseudo-headers, Host and what a client must not say, as HTTP/1.1 lines, each with its CRLF. */
  lines: Buffer
  fields: readonly Field[]
  /** Nothing follows the head. */
  endStream: boolean
}

const nothing = Buffer.alloc(0)

const seenMethod = 1
const seenScheme = 2
const seenPath = 4
const seenAuthority = 8
const seenProtocol = 16
const seenHost = 32
const needed = seenMethod | seenScheme | seenPath

const bitOf: Record<number, number> = {
  [FieldKind.method]: seenMethod,
  [FieldKind.path]: seenPath,
  [FieldKind.scheme]: seenScheme,
  [FieldKind.authority]: seenAuthority,
  [FieldKind.protocol]: seenProtocol,
}

/**
 * The lines of a connection's last request. A client says most of them again, and what came out of HPACK's table again is the very same
 * object: then they are not put together anew.
 */
export class LastLines {
  #fields: readonly Field[] = []
  #from = 0
  #bytes: Buffer = Buffer.alloc(0)

  /** The lines of `fields` from index `from` on. */
  of(fields: readonly Field[], from: number): Buffer {
    if (!this.#same(fields, from)) {
      this.#bytes = Buffer.from(linesOf(fields, from, null), 'latin1')
      this.#fields = fields
      this.#from = from
    }
    return this.#bytes
  }

  /** Gives the memory back: the connection is idle. */
  clear(): void {
    if (this.#fields.length === 0) return
    this.#fields = []
    this.#from = 0
    this.#bytes = nothing
  }

  #same(fields: readonly Field[], from: number): boolean {
    const shift = this.#from - from
    if (fields.length + shift !== this.#fields.length) return false
    for (let i = from; i < fields.length; i++) if (fields[i] !== this.#fields[i + shift]) return false
    return true
  }
}

/** HTTP/1.1 lines of `fields` from index `from` on, without those whose names are in `cut`; cookies in one line (§8.2.3). */
export function linesOf(fields: readonly Field[], from: number, cut: ReadonlySet<string> | null): string {
  let lines = ''
  let cookie = ''
  for (let i = from; i < fields.length; i++) {
    const { kind, line, name, value } = fields[i] as Field
    if (cut?.has(name)) continue
    if (kind === FieldKind.cookie) cookie = cookie === '' ? value : `${cookie}; ${value}`
    // TE is of this hop alone, and says so (RFC 9110 §10.1.4).
    else if (kind === FieldKind.te) lines += 'te: trailers\r\nConnection: TE\r\n'
    else lines += line
  }
  return cookie === '' ? lines : `${lines}cookie: ${cookie}\r\n`
}

/** The head that `fields` say, or null when they are malformed (§8.1.1). */
export function readRequestHead(fields: readonly Field[], endStream: boolean, last: LastLines): RequestHead | null {
  const head: RequestHead = {
    method: '',
    scheme: '',
    path: '',
    authority: '',
    protocol: null,
    contentLength: -1,
    lines: nothing,
    fields,
    endStream,
  }
  let seen = 0
  let host = ''
  let at = 0
  // Pseudo-headers come first, each once.
  for (; at < fields.length; at++) {
    const { kind, value } = fields[at] as Field
    const bit = kind >= FieldKind.method && kind <= FieldKind.protocol ? (bitOf[kind] as number) : 0
    if (bit === 0) break
    if (seen & bit) return null
    seen |= bit
    if (bit === seenMethod) head.method = value
    else if (bit === seenPath) head.path = value
    else if (bit === seenScheme) head.scheme = value
    else if (bit === seenAuthority) head.authority = value
    else head.protocol = value
  }
  const regularFrom = at
  for (; at < fields.length; at++) {
    const field = fields[at] as Field
    if (field.kind === FieldKind.regular || field.kind === FieldKind.cookie || field.kind === FieldKind.te) continue
    if (field.kind === FieldKind.contentLength) {
      // One alone: two that differ could be read in two ways, and two that agree are not worth a rule.
      if (head.contentLength !== -1) return null
      head.contentLength = Number(field.value)
    } else if (field.kind === FieldKind.host) {
      if (seen & seenHost) return null
      seen |= seenHost
      host = field.value
    } else if (field.kind !== FieldKind.dropped) return null
  }
  if (!pseudoComplete(head, seen)) return null
  if (seen & seenHost) {
    // §8.3.1: Host beside :authority must name the same.
    if (seen & seenAuthority && host.toLowerCase() !== head.authority.toLowerCase()) return null
    head.authority = host
  }
  if (endStream && head.contentLength > 0) return null
  head.lines = last.of(fields, regularFrom)
  return head
}

// §8.3.1, §8.5 and RFC 8441 §4: which pseudo-headers a request has.
function pseudoComplete(head: RequestHead, seen: number): boolean {
  if (head.method === 'CONNECT' && !(seen & seenProtocol)) return (seen & (seenScheme | seenPath)) === 0 && (seen & seenAuthority) !== 0
  if (seen & seenProtocol && head.method !== 'CONNECT') return false
  return (seen & needed) === needed && head.method !== '' && head.path !== '' && (head.scheme === 'http' || head.scheme === 'https')
}

/** Whether fields may stand in a trailer section (§8.1): no pseudo-header, nothing malformed. */
export function areTrailers(fields: readonly Field[]): boolean {
  for (const { kind, name } of fields) if (kind === FieldKind.malformed || name.charCodeAt(0) === 58) return false
  return true
}

/** The head of a request whose fields were too many: what is known of it, for a page that says so. */
export function cutHead(fields: readonly Field[], endStream: boolean): RequestHead {
  const value = (name: string) => fields.find((field) => field.name === name)?.value ?? ''
  return {
    method: value(':method') || 'GET',
    scheme: value(':scheme'),
    path: value(':path') || '/',
    authority: value(':authority'),
    protocol: null,
    contentLength: -1,
    lines: nothing,
    fields,
    endStream,
  }
}
