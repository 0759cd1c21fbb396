import type { IncomingMessage } from 'node:http'
import { forwardedChain, forwardedScheme, plainAddress, trustedProxies } from '@/shared/node/trusted-proxies'
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

/**
 * Creates a function that the HTTP server calls for each request before Next. It overwrites headers about the client, so that a client cannot
 * choose the address for rate limits or the scheme for cookies.
 */
export function createVisitorMarker(settings: VisitorSettings): (request: IncomingMessage) => void {
  const trusts = trustedProxies(settings.trustedProxies)
  const published = settings.publicUrl ? URL.parse(settings.publicUrl) : null
  return (request) => {
    const { headers } = request
    const peer = plainAddress(request.socket.remoteAddress ?? 'unknown')
    const trusted = trusts?.(peer) ? trusts : null
    const said = (name: string): string | undefined => (trusted && headers[name] !== undefined ? String(headers[name]) : undefined)
    const address = trusted ? (forwardedChain(peer, said('x-forwarded-for'), trusted)[0] ?? peer) : peer
    const host = said('x-forwarded-host')?.split(',', 1)[0]?.trim() || headers.host || ''
    // A dashboard published with HTTPS is behind a proxy that ends TLS, whether or not the proxy reports it.
    const secure = forwardedScheme(said('x-forwarded-proto')) === 'https' || (published?.protocol === 'https:' && host === published.host)
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

export const clientAddress = (headers: Headers): string => headers.get(addressHeader) ?? 'unknown'

/** Whether the client uses HTTPS, to us or to a trusted proxy. */
export const isSecure = (headers: Headers): boolean => headers.get('x-forwarded-proto') === 'https'
