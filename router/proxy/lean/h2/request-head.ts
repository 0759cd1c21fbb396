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
  /** All Cookie fields joined (§8.2.3), or null. */
  cookie: string | null
  /** -1: none was named. */
  contentLength: number
  /** The client takes trailers (`te: trailers`). */
  takesTrailers: boolean
  /** Every field but pseudo-headers, Host, Cookie, TE and what a client must not say, as HTTP/1.1 lines, each with its CRLF. */
  lines: string
  fields: readonly Field[]
  /** Nothing follows the head. */
  endStream: boolean
}

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

/** The head that `fields` say, or null when they are malformed (§8.1.1). */
export function readRequestHead(fields: readonly Field[], endStream: boolean): RequestHead | null {
  const head: RequestHead = {
    method: '',
    scheme: '',
    path: '',
    authority: '',
    protocol: null,
    cookie: null,
    contentLength: -1,
    takesTrailers: false,
    lines: '',
    fields,
    endStream,
  }
  let seen = 0
  let host = ''
  let lines = ''
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
  for (; at < fields.length; at++) {
    const field = fields[at] as Field
    if (field.kind === FieldKind.regular) lines += field.line
    else if (field.kind === FieldKind.cookie) head.cookie = head.cookie === null ? field.value : `${head.cookie}; ${field.value}`
    else if (field.kind === FieldKind.contentLength) {
      // One alone: two that differ could be read in two ways, and two that agree are not worth a rule.
      if (head.contentLength !== -1) return null
      head.contentLength = Number(field.value)
      lines += field.line
    } else if (field.kind === FieldKind.te) head.takesTrailers = true
    else if (field.kind === FieldKind.host) {
      if (seen & seenHost) return null
      seen |= seenHost
      host = field.value
    } else if (field.kind !== FieldKind.dropped) return null
  }
  head.lines = lines
  if (!pseudoComplete(head, seen)) return null
  if (seen & seenHost) {
    // §8.3.1: Host beside :authority must name the same.
    if (seen & seenAuthority && host.toLowerCase() !== head.authority.toLowerCase()) return null
    head.authority = host
  }
  if (endStream && head.contentLength > 0) return null
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
    cookie: null,
    contentLength: -1,
    takesTrailers: false,
    lines: '',
    fields,
    endStream,
  }
}
