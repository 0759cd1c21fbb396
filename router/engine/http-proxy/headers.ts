import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { hopByHop } from '@/shared/hop-by-hop'
import { plainAddress } from '@/shared/node/trusted-proxies'
import { mayTrail } from '../headers/trailers'
import { isUntrusted } from '../headers/untrusted-names'
import type { ClientAddress, Visitor } from '../headers/visitor'
import type { AcceptedRequest } from './request-rules'

const endsHere: ReadonlySet<string> = new Set(hopByHop)

/** Lower-case names that a message's Connection headers nominate. */
function nominated(raw: readonly string[]): Set<string> {
  const names = new Set<string>()
  for (let i = 0; i + 1 < raw.length; i += 2)
    if (raw[i]?.length === 10 && raw[i]?.toLowerCase() === 'connection')
      for (const token of raw[i + 1]?.split(',') ?? []) names.add(token.trim().toLowerCase())
  return names
}

/** The client's address, from the kernel or from a PROXY header. */
export function clientAddress(socket: Duplex, behind?: { ip: string; localPort: number }): ClientAddress {
  const secure = 'encrypted' in socket
  if (behind) return { ...behind, secure }
  const { remoteAddress = '', localPort = 0 } = socket as Socket
  return { ip: plainAddress(remoteAddress), localPort, secure }
}

/**
 * The request headers for the instance: names keep their spelling, repeated fields stay separate, and facts about the client come from the
 * router only.
 */
export function upstreamHeaders(
  req: IncomingMessage,
  accepted: AcceptedRequest,
  visitor: Visitor,
  requestId: string,
  upgrade: boolean,
): Record<string, string | string[]> {
  const raw = req.rawHeaders
  const cut = nominated(raw)
  const headers: Record<string, string | string[]> = Object.create(null)
  const spelling = new Map<string, string>()
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const written = raw[i] ?? ''
    const value = raw[i + 1] ?? ''
    const name = written.toLowerCase()
    if (endsHere.has(name) || name === 'expect' || cut.has(name) || isUntrusted(name)) continue
    const key = spelling.get(name) ?? written
    const present = headers[key]
    spelling.set(name, key)
    headers[key] = present === undefined ? value : Array.isArray(present) ? [...present, value] : [present, value]
  }
  if (accepted.chunked) headers['Transfer-Encoding'] = 'chunked'
  // http-proxy looks for lower-case names.
  if (upgrade) Object.assign(headers, { connection: 'Upgrade', upgrade: 'websocket' })
  headers['X-Forwarded-For'] = visitor.forwardedFor
  headers['X-Forwarded-Proto'] = visitor.scheme
  headers['X-Forwarded-Host'] = accepted.hostHeader
  headers['X-Forwarded-Port'] = accepted.authority.port || visitor.port
  headers['X-Real-IP'] = visitor.ip
  headers['X-Request-Id'] = requestId
  return headers
}

/** The answer's headers for the client, as a flat list of names and values; the writer adds framing and the request id. */
export function clientHeaders(answer: IncomingMessage): string[] {
  const raw = answer.rawHeaders
  const cut = nominated(raw)
  const noBody = answer.statusCode === 204
  const headers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const written = raw[i] ?? ''
    const name = written.toLowerCase()
    if (endsHere.has(name) || cut.has(name) || name === 'x-request-id' || name.startsWith('x-switchyard-')) continue
    // RFC 9110 §8.6: a 204 has no Content-Length.
    if (noBody && name === 'content-length') continue
    headers.push(written, raw[i + 1] ?? '')
  }
  return headers
}

/** Trailer fields that may be forwarded. */
export function clientTrailers(answer: IncomingMessage): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < answer.rawTrailers.length; i += 2) {
    const name = answer.rawTrailers[i] ?? ''
    if (mayTrail(name.toLowerCase())) pairs.push([name, answer.rawTrailers[i + 1] ?? ''])
  }
  return pairs
}
