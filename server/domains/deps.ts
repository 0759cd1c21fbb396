import type { PrismaClient } from '@/server/database/generated/client'
import type { ChangeBus } from '../events/bus'
import type { DomainChecks } from './checks'
import type { DnsSession } from './doctor/dns'
import type { OwnAddresses } from './doctor/own-addresses'

/** Dependencies of the use-cases about domains. */
export interface DomainDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  /** Parent domain of the platform's own hosts. */
  baseDomain: string
  /** Further hosts of the platform, such as the dashboard's. */
  reservedHosts: readonly string[]
  /** Key from which claim tokens are derived; with another key, domains added later get other tokens. */
  claimSecret: string
  own: () => Promise<OwnAddresses>
  openDns: () => DnsSession
  /** Ports as visitors see them; `https` null: HTTPS is off. */
  ports: { http: number; https: number | null }
  /** At least one CA is configured. */
  certificateAuthority: boolean
  /** null: another process examines domains; it is notified by the change bus. */
  checks: Pick<DomainChecks, 'check'> | null
  /** The set of routes may have changed. */
  routesChanged: () => Promise<void>
}
