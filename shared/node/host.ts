import { isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

const plainHost = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/

/** The URL parser that maps names would cut `/`, `?`, `#` and `\` off with what follows, strip tabs and decode escapes. */
const idn = /^[\w.\u0080-\u{10ffff}-]+$/u

export interface Authority {
  /** Lower case, ASCII (punycode), no port, no trailing dot. */
  host: string
  /** As digits; empty when the client named none. */
  port: string
}

/**
 * Reads a Host header (RFC 9110 §7.2: uri-host [":" port]) into the one spelling that tables use, or null when it is no host at all.
 * Ordinary names never leave the first branch; others go through the URL standard's IDN mapping.
 */
export function parseAuthority(header: string): Authority | null {
  if (header.length === 0 || header.length > 512) return null
  const split = splitPort(header)
  if (split === null) return null
  // IDN first: changing the case of latin1 would change the bytes of a UTF-8 name.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII is what is meant
  const isPlain = !/[^\x00-\x7f]/.test(split.host)
  if (!isPlain && !idn.test(split.host)) return null
  let host = (isPlain ? split.host : toAscii(split.host)).toLowerCase()
  if (host.startsWith('[')) return isIPv6(host.slice(1, -1)) ? { host, port: split.port } : null
  if (host.endsWith('.')) host = host.slice(0, -1)
  if (host.length > 253 || host.includes('..') || !plainHost.test(host)) return null
  return { host, port: split.port }
}

/** The spelling of a hostname in a table, or null when it is none; a table's host carries no port. */
export function canonicalHost(host: string): string | null {
  const authority = parseAuthority(host)
  return authority === null || authority.port !== '' ? null : authority.host
}

function splitPort(header: string): Authority | null {
  const bracket = header.startsWith('[') ? header.indexOf(']') : -1
  if (header.startsWith('[') && bracket === -1) return null
  const colon = header.indexOf(':', bracket + 1)
  if (colon === -1) return bracket === -1 || bracket === header.length - 1 ? { host: header, port: '' } : null
  if (bracket !== -1 && colon !== bracket + 1) return null
  const port = header.slice(colon + 1)
  if (!/^[0-9]{0,5}$/.test(port) || Number(port) > 65_535) return null
  return { host: header.slice(0, colon), port }
}

// Header bytes arrive as latin1; a raw UTF-8 name is decoded first. A name from a table is already text and is left as it is.
function toAscii(host: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of latin1 is what is meant
  const latin1 = !/[^\x00-\xff]/.test(host)
  const decoded = latin1 ? Buffer.from(host, 'latin1').toString('utf8') : host
  return domainToASCII(decoded.includes('\ufffd') ? host : decoded)
}

/** The place a route's host has in a table: an exact name, or what follows the `*` of a wildcard. null: it is no hostname. */
export function placeOf(routeHost: string): { host: string; wildcard: boolean } | null {
  const wildcard = routeHost.startsWith('*.')
  const name = canonicalHost(wildcard ? routeHost.slice(2) : routeHost)
  return name === null ? null : { host: wildcard ? `.${name}` : name, wildcard }
}
