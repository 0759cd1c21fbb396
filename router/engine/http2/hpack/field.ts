import { isUntrusted } from '../../headers/untrusted-names'

/** How a proxy treats a request header field; determined once, when the field is decoded. */
export const FieldKind = {
  /** Forwarded unchanged: `line` is its HTTP/1.1 form. */
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
  /** Well-formed but not forwarded: only proxies may set it. */
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

/** Hop-by-hop fields that are not forwarded, in addition to those that only the router may set. */
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

/**
 * A decoded header field, validated and classified. Entries of the dynamic table are such objects, so a repeated field is not validated
 * again.
 */
export class Field {
  readonly name: string
  /** latin1: one character per byte. */
  readonly value: string
  /** Size by RFC 7541 §4.1. */
  readonly size: number
  /** One of `FieldKind`. */
  readonly kind: number
  /** `name: value CRLF` if the field is forwarded in this form (`regular`, `contentLength`), else empty. */
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
