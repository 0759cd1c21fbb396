import type { PrismaClient } from '@/server/database/generated/client'
import type { ChangeBus } from '../events/bus'
import type { DomainChecks } from './checks'
import type { DnsSession } from './doctor/dns'
import type { OwnAddresses } from './doctor/own-addresses'

/** What the use-cases about domains work with. */
export interface DomainDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  /** Below it are the platform's own hosts. */
  baseDomain: string
  /** Hosts of the platform itself, besides those: the dashboard's. */
  reservedHosts: readonly string[]
  /** Makes claim tokens; losing it makes other tokens for domains added from then on. */
  claimSecret: string
  own: () => Promise<OwnAddresses>
  openDns: () => DnsSession
  /** Ports as visitors see them; `https` null: HTTPS is off. */
  ports: { http: number; https: number | null }
  /** There is a CA to ask. */
  certificateAuthority: boolean
  /** null: another process does the examinations; it is told by the bus. */
  checks: Pick<DomainChecks, 'check'> | null
  /** The set of routes may have changed. */
  routesChanged: () => Promise<void>
}
