import { isUntrusted } from '../../headers/untrusted-names'

/** What a header field of a request is to a proxy; decided once, when the field enters a decoder. */
export const FieldKind = {
  /** Passed on as it is: `line` is its HTTP/1.1 form. */
  regular: 0,
  method: 1,
  path: 2,
  scheme: 3,
  authority: 4,
  protocol: 5,
  cookie: 6,
  contentLength: 7,
  host: 8,
  te: 9,
  /** Well-formed, and not for the instance: what only a proxy may say. */
  dropped: 10,
  /** Makes the request malformed (RFC 9113 §8.1.1). */
  malformed: 11,
} as const

const pseudo: Record<string, number> = {
  ':method': FieldKind.method,
  ':path': FieldKind.path,
  ':scheme': FieldKind.scheme,
  ':authority': FieldKind.authority,
  ':protocol': FieldKind.protocol,
}

const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
// RFC 9113 §8.2.1 with RFC 9110 §5.5: no control characters but HTAB, and no white space at either end.
const valuePattern = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/

/** Connection-specific: malformed in HTTP/2 (RFC 9113 §8.2.2). */
const connectionSpecific = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

/** What ends at this hop, beside what only the router may say. */
const ending = new Set(['proxy-authenticate', 'proxy-authorization', 'trailer', 'expect'])

function regularKind(name: string, value: string): number {
  switch (name) {
    case 'cookie':
      return FieldKind.cookie
    case 'content-length':
      return /^[0-9]{1,15}$/.test(value) ? FieldKind.contentLength : FieldKind.malformed
    case 'host':
      return FieldKind.host
    case 'te':
      return value.toLowerCase() === 'trailers' ? FieldKind.te : FieldKind.malformed
    default:
      if (connectionSpecific.has(name)) return FieldKind.malformed
      return ending.has(name) || isUntrusted(name) ? FieldKind.dropped : FieldKind.regular
  }
}

/** A decoded header field, checked and classified. Entries of a dynamic table are such fields, so a repeated one costs nothing more. */
export class Field {
  readonly name: string
  /** latin1: a character for each byte. */
  readonly value: string
  /** As HPACK counts it (RFC 7541 §4.1). */
  readonly size: number
  /** One of `FieldKind`. */
  readonly kind: number
  /** `name: value CRLF` where the instance is to see the field in this form (`regular`, `contentLength`), else empty. */
  readonly line: string

  constructor(name: string, value: string) {
    this.name = name
    this.value = value
    this.size = name.length + value.length + 32
    if (!valuePattern.test(value)) this.kind = FieldKind.malformed
    else if (name.charCodeAt(0) === 58) this.kind = pseudo[name] ?? FieldKind.malformed
    else this.kind = namePattern.test(name) ? regularKind(name, value) : FieldKind.malformed
    this.line = this.kind === FieldKind.regular || this.kind === FieldKind.contentLength ? `${name}: ${value}\r\n` : ''
  }
}
