import type { IncomingMessage } from 'node:http'
import type { RequestFacts } from '../../gate/gate'
import type { Visitor } from '../headers/visitor'
import type { AcceptedRequest } from './request-rules'

/** The facts of a request parsed by node:http; headers are looked up on demand. */
export class NodeFacts implements RequestFacts {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: string
  readonly target: string
  readonly scheme: 'http' | 'https'
  readonly clientIp: string
  readonly forwardedFor: string
  readonly requestId: string
  // `headers` of the request may be replaced; the raw headers never are.
  readonly #raw: readonly string[]

  constructor(req: IncomingMessage, accepted: AcceptedRequest, visitor: Visitor, requestId: string) {
    const target = req.url ?? '/'
    const mark = target.indexOf('?')
    this.method = req.method ?? 'GET'
    this.host = accepted.authority.host
    this.target = target
    this.path = mark === -1 ? target : target.slice(0, mark)
    this.query = mark === -1 ? '' : target.slice(mark)
    this.scheme = visitor.scheme
    this.clientIp = visitor.ip
    this.forwardedFor = visitor.forwardedFor
    this.requestId = requestId
    this.#raw = req.rawHeaders
  }

  get authority(): string {
    return this.header('host')?.toLowerCase() ?? this.host
  }

  header(name: string): string | undefined {
    return joinedHeader(this.#raw, name)
  }

  has(name: string): boolean {
    return this.header(name) !== undefined
  }
}

/** Value of a header with repeated lines joined (RFC 9110 §5.2; cookies by RFC 9113 §8.2.3); undefined: absent. */
export function joinedHeader(raw: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length !== name.length || raw[i]?.toLowerCase() !== name) continue
    const line = raw[i + 1] ?? ''
    value = value === undefined ? line : `${value}${name === 'cookie' ? '; ' : ', '}${line}`
  }
  return value
}
