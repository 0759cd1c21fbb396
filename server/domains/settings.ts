import { isIP } from 'node:net'
import { z } from 'zod'

/** What the environment says about DNS and addresses. Parsed by `server/env.ts`. */
export interface DomainSettings {
  /** Resolvers (`ip`, `ip:port`) that are believed instead of the system's and of the zones' own servers; null: none. */
  dnsServers: string[] | null
  /** Addresses under which visitors reach this server; empty: those of its interfaces. */
  publicAddresses: string[]
  /** Ports as visitors and CAs see them, whatever the router itself listens on. */
  publicHttpPort: number
  publicHttpsPort: number
}

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean),
)
const resolver = /^(\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?|[0-9a-fA-F:]+)$/
const publicPort = (preset: number) => z.coerce.number().int().min(1).max(65_535).default(preset)

/** The variables of the environment that this folder reads. */
export const domainVariables = {
  DNS_SERVERS: list
    .pipe(z.array(z.string().regex(resolver, 'must be addresses like 9.9.9.9 or 127.0.0.1:5353, separated by commas')).min(1))
    .optional(),
  EDGE_PUBLIC_ADDRESSES: list.pipe(z.array(z.string().refine((one) => isIP(one) !== 0, 'must be IP addresses separated by commas'))).optional(),
  EDGE_PUBLIC_HTTP_PORT: publicPort(80),
  EDGE_PUBLIC_HTTPS_PORT: publicPort(443),
}

export function domainSettings(env: z.output<z.ZodObject<typeof domainVariables>>): DomainSettings {
  return {
    dnsServers: env.DNS_SERVERS ?? null,
    publicAddresses: env.EDGE_PUBLIC_ADDRESSES ?? [],
    publicHttpPort: env.EDGE_PUBLIC_HTTP_PORT,
    publicHttpsPort: env.EDGE_PUBLIC_HTTPS_PORT,
  }
}
