import { type Field, FieldKind } from './hpack/field'

/** The head of an HTTP/2 request, validated by RFC 9113 §8.2 and §8.3. The exchange checks the requirements of HTTP itself. */
export interface RequestHead {
  method: string
  /** Scheme of the URL as sent by the client; independent of the connection's security. */
  scheme: string
  /** `:path`; empty for CONNECT. */
  path: string
  /** `:authority`, else the Host field, else empty. */
  authority: string
  /** The `:protocol` of an extended CONNECT (RFC 8441), or null. */
  protocol: string | null
  /** Content-Length; -1: absent. */
  contentLength: number
  /** HTTP/1.1 lines, each with CRLF, of all fields except pseudo-headers, Host and fields that clients must not set. */
  lines: Buffer
  fields: readonly Field[]
  /** The request ends with its head. */
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
 * The lines of a connection's previous request. Clients repeat most fields, and HPACK's dynamic table returns the same objects for them, so
 * the lines can be reused without concatenating them again.
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

  /** Releases the memory of an idle connection. */
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
    // TE applies to this hop only, so Connection must list it (RFC 9110 §10.1.4).
    else if (kind === FieldKind.te) lines += 'te: trailers\r\nConnection: TE\r\n'
    else lines += line
  }
  return cookie === '' ? lines : `${lines}cookie: ${cookie}\r\n`
}

/** Builds the head from decoded fields. null: malformed (§8.1.1). */
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
  // Pseudo-headers precede all other fields, and each appears once.
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
      // Reject repeated Content-Length: different values are ambiguous, and equal values are not worth a special case.
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
    // §8.3.1: Host and :authority must name the same host.
    if (seen & seenAuthority && host.toLowerCase() !== head.authority.toLowerCase()) return null
    head.authority = host
  }
  if (endStream && head.contentLength > 0) return null
  head.lines = last.of(fields, regularFrom)
  return head
}

// §8.3.1, §8.5 and RFC 8441 §4: the pseudo-headers that a request must have.
function pseudoComplete(head: RequestHead, seen: number): boolean {
  if (head.method === 'CONNECT' && !(seen & seenProtocol)) return (seen & (seenScheme | seenPath)) === 0 && (seen & seenAuthority) !== 0
  if (seen & seenProtocol && head.method !== 'CONNECT') return false
  return (seen & needed) === needed && head.method !== '' && head.path !== '' && (head.scheme === 'http' || head.scheme === 'https')
}

/** Whether these fields are allowed as trailers (§8.1): no pseudo-headers and no malformed fields. */
export function areTrailers(fields: readonly Field[]): boolean {
  for (const { kind, name } of fields) if (kind === FieldKind.malformed || name.charCodeAt(0) === 58) return false
  return true
}

/** The head of a request with too many fields, built from those that were kept; used for the error page. */
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
