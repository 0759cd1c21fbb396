import { lookup } from 'node:dns/promises'
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { reachOf } from '@/builder/source/address'
import { withDeadline } from '@/shared/node/deadline'

/** A request to an address entered by a user was refused or failed. The message is for users and contains no credentials. */
export class OutboundError extends Error {
  /** The address must not be connected to, now or later. */
  readonly isForbidden: boolean
  constructor(message: string, { isForbidden = false, cause }: { isForbidden?: boolean; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'OutboundError'
    this.isForbidden = isForbidden
  }
}

export interface PinnedHost {
  ip: string
  isPrivate: boolean
}

/**
 * The address to connect to for a hostname entered by a user: resolved once, checked and pinned, so that later DNS answers (DNS rebinding)
 * have no effect. One forbidden address rejects the hostname.
 * @throws OutboundError
 */
export async function pinHost(hostname: string, allowPrivateNetwork: boolean, lookupDeadlineMs = 15_000): Promise<PinnedHost> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const look = () => withDeadline(`Looking up ${host}`, lookupDeadlineMs, () => lookup(host, { all: true })).catch(() => [])
  const addresses = isIP(host) ? [host] : (await look()).map((one) => one.address)
  const [first] = addresses
  if (first === undefined) throw new OutboundError(`the host ${host} was not found`)
  const reaches = addresses.map(reachOf)
  if (reaches.includes('never')) throw new OutboundError(`the host ${host} leads to an address that is never connected to`, { isForbidden: true })
  if (reaches.includes('private') && !allowPrivateNetwork)
    throw new OutboundError(`the host ${host} leads into a private network; an operator of this installation may set that up`, { isForbidden: true })
  return { ip: first, isPrivate: reaches.every((reach) => reach === 'private') }
}

export interface OutboundRequest {
  url: URL
  method: string
  headers: Record<string, string>
  body?: string
  allowPrivateNetwork: boolean
  /** Bytes after which reading stops. */
  maxAnswerBytes: number
  deadlineMs: number
  signal: AbortSignal
}

export interface OutboundAnswer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** The response exceeded `maxAnswerBytes`. */
  isCut: boolean
  /** The address is in a private network. */
  isPrivate: boolean
}

/**
 * Sends one request to the checked address without resolving the name again; follows no redirects. Plain HTTP only within a private network.
 * @throws OutboundError, or the reason of `signal`
 */
export async function pinnedRequest(wanted: OutboundRequest): Promise<OutboundAnswer> {
  const { url, allowPrivateNetwork } = wanted
  const { ip, isPrivate } = await pinHost(url.hostname, allowPrivateNetwork)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isPrivate))
    throw new OutboundError(`${url.protocol}// is not encrypted and therefore not used for ${url.hostname}`, { isForbidden: true })
  const deadline = AbortSignal.timeout(wanted.deadlineMs)
  const response = await send(wanted, ip, AbortSignal.any([wanted.signal, deadline])).catch((error: unknown) => {
    if (wanted.signal.aborted) throw wanted.signal.reason
    throw deadline.aborted ? new OutboundError(`${url.hostname} did not answer within ${wanted.deadlineMs / 1000} s`) : failure(url, error)
  })
  return { ...response, isPrivate }
}

function send(
  { url, method, headers, body, maxAnswerBytes }: OutboundRequest,
  ip: string,
  signal: AbortSignal,
): Promise<Omit<OutboundAnswer, 'isPrivate'>> {
  const family = ip.includes(':') ? 6 : 4
  const pinned: LookupFunction = (_name, options, done) => (options.all ? done(null, [{ address: ip, family }]) : done(null, ip, family))
  const start = url.protocol === 'https:' ? httpsRequest : httpRequest
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const outgoing = start(url, { method, headers: { 'user-agent': 'switchyard', ...headers, ...length }, lookup: pinned, signal, agent: false })
    outgoing.on('response', (response) => readAnswer(response, maxAnswerBytes).then(resolve, reject))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Omit<OutboundAnswer, 'isPrivate'>> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop destroys the response: the rest of a long answer is not downloaded.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxBytes) break
  }
  const text = Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8')
  return { status: response.statusCode ?? 0, headers: response.headers, text, isCut: size > maxBytes }
}

/** Texts for system errors; other messages may contain parts of the request. */
const failures: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'closed the connection without an answer',
  EHOSTUNREACH: 'is not reachable',
  ENETUNREACH: 'is not reachable',
  ETIMEDOUT: 'does not answer',
  EPIPE: 'closed the connection without an answer',
}

function failure(url: URL, error: unknown): OutboundError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (/CERT|SIGNATURE|TLS|SSL|ISSUER/.test(code))
    return new OutboundError(`the TLS certificate of ${url.hostname} is not accepted (${code})`, { cause: error })
  return new OutboundError(`${url.hostname} ${failures[code] ?? 'does not answer'}`, { cause: error })
}
