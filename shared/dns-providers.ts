import { z } from 'zod'
import { wholeNumberOr } from './query-number'

/** DNS hosts that support dns-01, and their fields, for the form, the API and the control plane. */

const secret = z.string().trim().min(1).max(4_096)
const optional = z
  .string()
  .trim()
  .max(300)
  .optional()
  .transform((value) => value || undefined)
const base64 = secret.regex(/^[A-Za-z0-9+/]+={0,2}$/, 'must be base64, as in the key file')
const name = z.string().trim().toLowerCase().min(1).max(253)

export const dnsCredentials = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cloudflare'), apiToken: secret }),
  z.object({
    kind: z.literal('route53'),
    accessKeyId: secret,
    secretAccessKey: secret,
    hostedZoneId: optional,
  }),
  z.object({ kind: z.literal('digitalocean'), apiToken: secret }),
  z.object({
    kind: z.literal('rfc2136'),
    /** Hostname or address of the primary server. */
    server: name,
    port: wholeNumberOr(53, 1, 65_535),
    zone: optional,
    keyName: name,
    keySecret: base64,
  }),
  z.object({
    kind: z.literal('webhook'),
    url: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(2_000),
    secret: z.string().min(16, 'must have 16 characters or more').max(500),
  }),
])
export type DnsCredentials = z.output<typeof dnsCredentials>
export type DnsProviderKind = DnsCredentials['kind']

export const dnsProviderLabels: Readonly<Record<DnsProviderKind, string>> = {
  cloudflare: 'Cloudflare',
  route53: 'Amazon Route 53',
  digitalocean: 'DigitalOcean',
  rfc2136: 'Own name server (RFC 2136)',
  webhook: 'Webhook',
}

/** Fields of each form, in order. */
export const dnsProviderFields: Readonly<
  Record<DnsProviderKind, readonly { key: string; label: string; hint?: string; secret?: true; optional?: true }[]>
> = {
  cloudflare: [{ key: 'apiToken', label: 'API token', hint: 'With Zone:Read and DNS:Edit for the zone.', secret: true }],
  route53: [
    { key: 'accessKeyId', label: 'Access key id' },
    { key: 'secretAccessKey', label: 'Secret access key', secret: true },
    { key: 'hostedZoneId', label: 'Hosted zone id', hint: 'Only when the key may not list zones.', optional: true },
  ],
  digitalocean: [{ key: 'apiToken', label: 'API token', hint: 'With read and write access to domains.', secret: true }],
  rfc2136: [
    { key: 'server', label: 'Primary name server' },
    { key: 'port', label: 'Port', hint: '53 unless you changed it.', optional: true },
    { key: 'keyName', label: 'TSIG key name' },
    { key: 'keySecret', label: 'TSIG secret (HMAC-SHA256, base64)', secret: true },
    { key: 'zone', label: 'Zone', hint: 'Only when it cannot be found from the domain.', optional: true },
  ],
  webhook: [
    { key: 'url', label: 'URL' },
    { key: 'secret', label: 'Signing secret', hint: '16 characters or more; requests carry x-switchyard-signature.', secret: true },
  ],
}
