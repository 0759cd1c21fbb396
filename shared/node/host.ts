import { isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

const plainHost = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/

/** Characters of an internationalized name. The URL parser would cut the name at `/`, `?`, `#` and `\`, remove tabs and decode escapes. */
const idn = /^[\w.\u0080-\u{10ffff}-]+$/u

export interface Authority {
  /** Lower case, ASCII (punycode), no port, no trailing dot. */
  host: string
  /** Decimal digits; empty when the client sent no port. */
  port: string
}

/**
 * Parses a Host header (RFC 9110 §7.2: uri-host [":" port]) into the canonical spelling of route tables; null: not a valid host. ASCII names
 * take the first branch; other names use the IDN mapping of the URL standard.
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

/** The canonical spelling of a hostname for route tables, without a port; null: not a valid hostname. */
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

// Header bytes are latin1, so a raw UTF-8 name is decoded first. Names from a route table are text already and stay unchanged.
function toAscii(host: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of latin1 is what is meant
  const latin1 = !/[^\x00-\xff]/.test(host)
  const decoded = latin1 ? Buffer.from(host, 'latin1').toString('utf8') : host
  return domainToASCII(decoded.includes('\ufffd') ? host : decoded)
}

/** Splits the host of a route into an exact name, or the part after `*.` of a wildcard. null: not a valid hostname. */
export function placeOf(routeHost: string): { host: string; wildcard: boolean } | null {
  const wildcard = routeHost.startsWith('*.')
  const name = canonicalHost(wildcard ? routeHost.slice(2) : routeHost)
  return name === null ? null : { host: wildcard ? `.${name}` : name, wildcard }
}
