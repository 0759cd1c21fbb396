import { type DnsCredentials, type DnsProviderKind, dnsCredentials } from '@/shared/dns-providers'
import { AppError } from '@/shared/errors'
import { createCloudflare } from './cloudflare'
import { createDigitalOcean } from './digitalocean'
import { masked } from './masked'
import type { DnsProvider } from './provider'
import { createRfc2136 } from './rfc2136'
import { createRoute53 } from './route53'
import { createWebhook } from './webhook'

/** The stored content of a provider, encrypted: its credentials, and whether its creator may reach private networks. */
export interface StoredCredentials {
  credentials: Record<string, unknown>
  allowPrivateNetwork: boolean
}

/** The provider of a row. @throws AppError ERR_INTERNAL for a row this version cannot read */
export function openDnsProvider(kind: string, stored: string): DnsProvider {
  const { credentials, allowPrivateNetwork } = JSON.parse(stored) as StoredCredentials
  const parsed = dnsCredentials.safeParse({ ...credentials, kind: kind as DnsProviderKind })
  if (!parsed.success)
    throw new AppError('ERR_INTERNAL', 'The stored credentials of the DNS provider cannot be used.', { nextAction: 'Enter them again.' })
  const given = parsed.data
  return masked(open(given, allowPrivateNetwork), given)
}

function open(given: DnsCredentials, allowPrivateNetwork: boolean): DnsProvider {
  switch (given.kind) {
    case 'cloudflare':
      return createCloudflare(given)
    case 'route53':
      return createRoute53(given)
    case 'digitalocean':
      return createDigitalOcean(given)
    case 'rfc2136':
      return createRfc2136({ ...given, allowPrivateNetwork })
    case 'webhook':
      return createWebhook({ ...given, allowPrivateNetwork })
  }
}
