import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4 } from 'node:net'
import { takenCookies } from './session-cookie'

/** Client address, scheme and host of a request; X-Forwarded-* headers count only from trusted proxies. */

const addressHeader = 'x-switchyard-client-address'
const forwarded = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-forwarded-server', 'x-real-ip', 'forwarded']

export interface VisitorSettings {
  /** Addresses and networks (`10.0.0.0/8`) of proxies whose X-Forwarded-* headers are trusted. */
  trustedProxies: readonly string[]
  /** Configured public URL of the dashboard. */
  publicUrl: string | null
}

/** Converts IPv4-mapped IPv6 addresses of a dual-stack listener to IPv4. */
const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

function trustList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

/**
 * Creates a function that the HTTP server calls for each request before Next. It overwrites headers about the client, so that a client cannot
 * choose the address for rate limits or the scheme for cookies.
 */
export function createVisitorMarker(settings: VisitorSettings): (request: IncomingMessage) => void {
  const trusts = trustList(settings.trustedProxies)
  const published = settings.publicUrl ? URL.parse(settings.publicUrl) : null
  return (request) => {
    const { headers } = request
    const peer = plainAddress(request.socket.remoteAddress ?? 'unknown')
    const believed = trusts(peer)
    const first = (name: string): string | undefined =>
      believed
        ? String(headers[name] ?? '')
            .split(',')[0]
            ?.trim() || undefined
        : undefined
    const address = believed ? visitorBehind(peer, headers['x-forwarded-for'], trusts) : peer
    const host = first('x-forwarded-host') ?? headers.host ?? ''
    // A dashboard published with HTTPS is behind a proxy that ends TLS, whether or not the proxy reports it.
    const secure = first('x-forwarded-proto') === 'https' || (published?.protocol === 'https:' && host === published.host)
    for (const name of forwarded) delete headers[name]
    headers[addressHeader] = address
    headers['x-forwarded-for'] = address
    headers['x-forwarded-host'] = host
    headers['x-forwarded-proto'] = secure ? 'https' : 'http'
    if (headers.cookie !== undefined) headers.cookie = takenCookies(headers.cookie, secure)
    // The API without Next reads the raw headers.
    request.rawHeaders = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]))
  }
}

/** Each proxy appends its peer to X-Forwarded-For: the rightmost address that is not a trusted proxy is the client. */
function visitorBehind(peer: string, list: string | string[] | undefined, trusts: (address: string) => boolean): string {
  const hops = String(list ?? '')
    .split(',')
    .map((one) => plainAddress(one.trim()))
  let visitor = peer
  for (const hop of hops.reverse()) {
    if (isIP(hop) === 0) break
    visitor = hop
    if (!trusts(hop)) break
  }
  return visitor
}

export const clientAddress = (headers: Headers): string => headers.get(addressHeader) ?? 'unknown'

/** Whether the client uses HTTPS, to us or to a trusted proxy. */
export const isSecure = (headers: Headers): boolean => headers.get('x-forwarded-proto') === 'https'
