import { METHODS } from 'node:http'
import { parseAuthority } from '@/shared/node/host'
import type { TrustedProxies } from '@/shared/node/trusted-proxies'
import type { ForwardPlan } from '../../gate/gate'
import type { HostTable, LiveRoute } from '../../match/host-table'
import type { Problem } from '../../pages/pages'
import { prepareEdits } from '../headers/edits'
import type { ClientAddress, Visitor } from '../headers/visitor'
import { forwardedLines } from '../http1/request-writer'
import type { Outbox } from '../io/slab'
import { linesOf, type RequestHead } from './request-head'
import { asksForWebSocket, type Handshake, notOfHandshake } from './websocket'

/** Facts about a connection's client, shared by all its streams. */
export interface ClientInfo {
  readonly address: ClientAddress
  /** The client as the visitor of its requests. */
  readonly visitor: Visitor
  /** Set when the client is a trusted proxy: each request names its visitor. */
  readonly trusts: TrustedProxies | null
  /** SNI of the TLS handshake; null: none. */
  readonly servername: string | null
}

/** The host of a connection's previous request: nearly every request repeats it. */
export class LastHost {
  host = ''
  route: LiveRoute | null = null
  /** The host belongs to another project than the SNI of the TLS handshake (RFC 9110 §15.5.20). */
  misdirected = false
  /** See `forwardedLines`; of the connection's client. */
  forwarded: Buffer = Buffer.alloc(0)
  #port = ''
  #authority = ''
  #table: HostTable | null = null

  /** Looks up `authority`; reuses the previous result if authority and table are unchanged. false: not a valid host. */
  find(authority: string, table: HostTable, client: ClientInfo): boolean {
    if (authority === this.#authority && table === this.#table) return true
    const parsed = parseAuthority(authority)
    if (parsed === null) return false
    this.#authority = authority
    this.host = parsed.host
    this.#table = table
    this.route = table.find(parsed.host) ?? null
    this.misdirected = this.route !== null && client.servername !== null && !isOfProject(client.servername, this.route, table)
    this.#port = parsed.port
    this.forwarded = forwardedLines(client.visitor, authority, this.#port)
    return true
  }

  /** See `forwardedLines`; of a visitor behind the connection's client. */
  forwardedOf(visitor: Visitor): Buffer {
    return forwardedLines(visitor, this.#authority, this.#port)
  }
}

// One certificate may name hosts of several projects, and browsers then send requests for all of them over one connection.
function isOfProject(servername: string, route: LiveRoute, table: HostTable): boolean {
  return servername === route.host || table.find(servername)?.projectId === route.projectId
}

const methods = new Set(METHODS.filter((method) => method !== 'SOURCE'))
const refuse = (status: number, detail: string): Problem => ({ kind: 'bad-request', status, detail })

/**
 * Why a well-formed request is refused, with the same texts as the HTTP/1.1 engines (`request-rules.ts`); null: not refused. Looks up the
 * host.
 */
export function refusalOf(head: RequestHead, tooLarge: boolean, last: LastHost, table: HostTable, client: ClientInfo): Problem | null {
  if (tooLarge) return tooLargeRefusal(head)
  if (!methods.has(head.method)) return refuse(501, 'This is not a method of HTTP.')
  if (head.protocol !== null && !asksForWebSocket(head)) return refuse(501, 'The only protocol that a CONNECT opens here is "websocket".')
  if (head.method === 'TRACE' || (head.method === 'CONNECT' && head.protocol === null)) return refuse(405, `${head.method} is not served here.`)
  const target = targetFault(head)
  if (target !== null) return target
  if (head.authority === '') return refuse(400, 'A request needs exactly one Host header.')
  if (!last.find(head.authority, table, client)) return refuse(400, 'The Host header is not a hostname.')
  if (last.misdirected) return refuse(421, 'This connection was opened for another project. Ask again over a new connection.')
  const expect = head.fields.find((field) => field.name === 'expect')
  if (expect !== undefined && expect.value.toLowerCase() !== '100-continue') return refuse(417, 'The only expectation served here is "100-continue".')
  return null
}

// Pseudo-headers come first: if the path is missing, the path itself exceeded the limit.
function tooLargeRefusal({ method, fields }: RequestHead): Problem {
  if (method !== 'CONNECT' && !fields.some(({ name }) => name === ':path')) return refuse(414, 'The request target is longer than allowed.')
  return refuse(431, 'The header fields of the request are more or larger than allowed.')
}

function targetFault({ method, path }: RequestHead): Problem | null {
  if (path === '*') return method === 'OPTIONS' ? null : refuse(400, 'The target "*" belongs to OPTIONS alone.')
  if (!path.startsWith('/')) return refuse(400, 'The request target must be a path; absolute-form is for forward proxies.')
  if (!/^[!-"$-~]+$/.test(path)) return refuse(400, 'The request target holds characters that must be percent-encoded.')
  return null
}

const headEnd = Buffer.from('\r\n\r\n')
/** Methods that send Content-Length: 0 when they have no body (RFC 9110 §8.6). */
const expectBody = new Set(['POST', 'PUT', 'PATCH'])

/** Fields that the router adds to a request. */
export interface RouterFields {
  chunked: boolean
  /** WebSocket handshake; null: an ordinary request. */
  handshake: Handshake | null
  forwarded: Buffer
  requestId: Buffer
}

/** Writes the request head as HTTP/1.1 for the instance, with the router's own fields. */
export function writeRequestHead(out: Outbox, head: RequestHead, plan: ForwardPlan, words: RouterFields): void {
  const { chunked, handshake, forwarded, requestId } = words
  const edits = plan.requestHeaders === null ? null : prepareEdits(plan.requestHeaders)
  const cut = handshake === null ? (edits?.cut ?? null) : new Set([...notOfHandshake, ...(edits?.cut ?? [])])
  let text = `${handshake === null ? head.method : 'GET'} ${plan.target ?? head.path} HTTP/1.1\r\nHost: ${hostOf(head, plan)}\r\n`
  if (handshake !== null) text += handshake.lines
  else if (chunked) text += 'Transfer-Encoding: chunked\r\n'
  else if (head.contentLength === -1 && expectBody.has(head.method)) text += 'Content-Length: 0\r\n'
  const lines = cut === null ? head.lines : linesOf(head.fields, 0, cut)
  out.reserve(text.length + lines.length + (edits?.lines.length ?? 0) + forwarded.length + requestId.length + headEnd.length)
  out.text(text)
  if (typeof lines === 'string') out.text(lines)
  else out.putAll(lines)
  if (edits !== null) out.putAll(edits.lines)
  out.putAll(forwarded)
  out.putAll(requestId)
  out.putAll(headEnd)
}

function hostOf(head: RequestHead, { outside }: ForwardPlan): string {
  if (outside === null) return head.authority
  const { scheme, hostname, port } = outside
  return port === (scheme === 'https' ? 443 : 80) ? hostname : `${hostname}:${port}`
}
