import { type IncomingMessage, METHODS } from 'node:http'
import { type Authority, parseAuthority } from '@/shared/node/host'
import type { EngineLimits } from '../../env'

export interface Refusal {
  status: 400 | 405 | 414 | 417 | 431 | 501 | 505
  /** The violated rule in one sentence, for the client's developer. */
  detail: string
}

export interface AcceptedRequest {
  /** The Host header, byte for byte. */
  hostHeader: string
  authority: Authority
  /** Whether body bytes may follow; `Content-Length: 0` counts as none. */
  hasBody: boolean
  chunked: boolean
}

// Node's parser also accepts RTSP and ICE without reporting the protocol: allow only methods of HTTP.
const httpMethods = new Set(METHODS.filter((method) => method !== 'SOURCE'))

/** The detail of a 417. */
export const notExpected = 'The only expectation served here is "100-continue".'

const refuse = (status: Refusal['status'], detail: string): Refusal => ({ status, detail })

/**
 * Refuses requests that the parser accepts although two servers could interpret them differently (RFC 9112 §3, §6.3; `OPTIONS *` passes).
 * The parser itself refuses bare LF, obs-fold, Content-Length with Transfer-Encoding, and bad chunk sizes.
 */
export function checkRequest(req: IncomingMessage, limits: EngineLimits): Refusal | AcceptedRequest {
  if (req.httpVersion !== '1.1' && req.httpVersion !== '1.0') return refuse(505, 'Only HTTP/1.1 and HTTP/1.0 are spoken here.')
  if (!httpMethods.has(req.method ?? '')) return refuse(501, 'This is not a method of HTTP.')
  if (req.method === 'TRACE' || req.method === 'CONNECT') return refuse(405, `${req.method} is not served here.`)
  if (req.rawHeaders.length / 2 > limits.maxHeaders) return refuse(431, `More than ${limits.maxHeaders} header lines.`)
  return checkTarget(req.method ?? '', req.url ?? '') ?? checkHeaders(req)
}

function checkTarget(method: string, target: string): Refusal | null {
  if (target === '*') return method === 'OPTIONS' ? null : refuse(400, 'The target "*" belongs to OPTIONS alone.')
  if (!target.startsWith('/')) return refuse(400, 'The request target must be a path; absolute-form is for forward proxies.')
  // Fragments are never sent, and characters other than printable ASCII must be percent-encoded (RFC 3986 §2).
  if (!/^[!-"$-~]+$/.test(target)) return refuse(400, 'The request target holds characters that must be percent-encoded.')
  return null
}

function checkHeaders(req: IncomingMessage): Refusal | AcceptedRequest {
  const hosts: string[] = []
  const lengths: string[] = []
  const codings: string[] = []
  const raw = req.rawHeaders
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]?.toLowerCase()
    const value = raw[i + 1] ?? ''
    if (name === 'host') hosts.push(value)
    else if (name === 'content-length') lengths.push(value)
    else if (name === 'transfer-encoding') codings.push(value)
    else if (name === 'expect' && req.httpVersion === '1.1' && value.toLowerCase() !== '100-continue') return refuse(417, notExpected)
    else if (name === 'connection' && nominatesFraming(value)) return refuse(400, 'Connection must not name Host or Content-Length.')
  }
  const [host] = hosts
  if (host === undefined || hosts.length !== 1) return refuse(400, 'A request needs exactly one Host header.')
  const authority = parseAuthority(host)
  if (authority === null) return refuse(400, 'The Host header is not a hostname.')
  const framing = checkFraming(lengths, codings, req.httpVersion)
  return 'status' in framing ? framing : { ...framing, hostHeader: host, authority }
}

// Removing Host or Content-Length because Connection names them would change the target or the length of a request.
function nominatesFraming(connection: string): boolean {
  return connection.split(',').some((token) => ['host', 'content-length'].includes(token.trim().toLowerCase()))
}

function checkFraming(lengths: string[], codings: string[], version: string): Refusal | { hasBody: boolean; chunked: boolean } {
  if (lengths.length > 1) return refuse(400, 'More than one Content-Length.')
  if (codings.length > 0) {
    if (lengths.length > 0) return refuse(400, 'Content-Length beside Transfer-Encoding.')
    if (version === '1.0') return refuse(400, 'Transfer-Encoding does not exist in HTTP/1.0.')
    if (codings.length > 1 || codings[0]?.trim().toLowerCase() !== 'chunked') return refuse(501, 'The only transfer coding served here is "chunked".')
    return { hasBody: true, chunked: true }
  }
  const [length] = lengths
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) return refuse(400, 'Content-Length is not a number.')
  return { hasBody: length !== undefined && Number(length) > 0, chunked: false }
}

/** Only a WebSocket handshake without a body leaves HTTP; any other `Upgrade` is ignored, as RFC 9110 §7.8 allows. */
export function isWebSocketUpgrade(req: IncomingMessage): boolean {
  return (
    req.method === 'GET' &&
    req.httpVersion === '1.1' &&
    req.headers.upgrade?.toLowerCase() === 'websocket' &&
    req.headers['transfer-encoding'] === undefined &&
    Number(req.headers['content-length'] ?? 0) === 0
  )
}
