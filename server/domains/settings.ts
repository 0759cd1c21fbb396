import { isIP, isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'

/** Settings for DNS and addresses from environment variables. Parsed by `server/env.ts`. */
export interface DomainSettings {
  /** Resolvers (`ip`, `ip:port`) used instead of the system's and the zones' authoritative servers; null: not set. */
  dnsServers: string[] | null
  /** Addresses under which visitors reach this server; empty: those of its interfaces. */
  publicAddresses: string[]
  /**
   * Ports that visitors and CAs use, which may differ from the router's own. If the HTTPS port is not set: the port on which the router
   * listens.
   */
  publicHttpPort: number
  publicHttpsPort: number
  /** HTTP port in the displayed URLs of projects. */
  shownHttpPort: number
}

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean),
)
/** Validates at boot: port 0 would crash the process, and an invalid address would fail every query. */
function isResolver(text: string): boolean {
  if (isIP(text) !== 0) return true
  // An IPv6 address may be written in brackets without a port.
  const [, six = '', four = '', port = '53'] = /^(?:\[(.*)\]|([^:]*)(?=:))(?::(\d{1,5}))?$/.exec(text) ?? []
  return (isIPv6(six) || isIPv4(four)) && Number(port) >= 1 && Number(port) <= 65_535
}
/** Canonical spelling (RFC 5952), which DNS answers use and with which it is compared. */
const canonicalAddress = (address: string): string => (isIPv6(address) && URL.parse(`http://[${address}]`)?.hostname.slice(1, -1)) || address
const publicPort = z.coerce.number().int().min(1).max(65_535).optional()

/** The variables of the environment that this folder reads. */
export const domainVariables = {
  DNS_SERVERS: list
    .pipe(z.array(z.string().refine(isResolver, 'must be addresses like 9.9.9.9 or 127.0.0.1:5353, separated by commas')).min(1))
    .optional(),
  EDGE_PUBLIC_ADDRESSES: list.pipe(z.array(z.string().refine((one) => isIP(one) !== 0, 'must be IP addresses separated by commas'))).optional(),
  EDGE_PUBLIC_HTTP_PORT: publicPort,
  EDGE_PUBLIC_HTTPS_PORT: publicPort,
}

/** `listens`: ports of the router; HTTPS 0 means off. */
export function domainSettings(env: z.output<z.ZodObject<typeof domainVariables>>, listens: { http: number; https: number }): DomainSettings {
  return {
    dnsServers: env.DNS_SERVERS ?? null,
    publicAddresses: (env.EDGE_PUBLIC_ADDRESSES ?? []).map(canonicalAddress),
    publicHttpPort: env.EDGE_PUBLIC_HTTP_PORT ?? 80,
    publicHttpsPort: env.EDGE_PUBLIC_HTTPS_PORT ?? (listens.https || 443),
    shownHttpPort: env.EDGE_PUBLIC_HTTP_PORT ?? listens.http,
  }
}
