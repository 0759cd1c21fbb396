import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import { type AcmeTransport, createAcmeTransport } from '../certificates/acme'
import type { ServerEnv } from '../env'
import type { ChangeBus } from '../events/bus'
import type { ChallengeBoard } from '../link/challenges'
import { createDomainChecks, type DomainChecks } from './checks'
import { openDns } from './doctor/dns'
import { createIssuers } from './doctor/issuers'
import { outwardAddresses, ownAddresses } from './doctor/own-addresses'
import type { Domains } from './domains'
import { createDomains } from './domains'
import { startDomainRounds } from './rounds'

export interface DomainRoom {
  domains: Domains
  /** For certificate orders: `precheck` decides whether a CA may be asked. null: no router is connected to this process. */
  checks: DomainChecks | null
  /** Starts background examinations, in a process that runs them. */
  start(): { stop(): Promise<void> }
}

export interface DomainRoomOptions {
  env: Pick<ServerEnv, 'baseDomain' | 'publicUrl' | 'domains' | 'acme'>
  prisma: PrismaClient
  bus: ChangeBus
  logger: Logger
  claimSecret: string
  /** null: no router is connected to this process, and another process examines domains. */
  board: ChallengeBoard | null
  syncRoutes: () => Promise<void>
  /** Called after each examination with the result that a CA may be asked. */
  onReady?: (domainId: string) => void
}

/** Composes everything about custom domains. */
export function composeDomains(options: DomainRoomOptions): DomainRoom {
  const { env, prisma, bus, logger, board, syncRoutes } = options
  const { dnsServers, publicAddresses, publicHttpPort, publicHttpsPort } = env.domains
  const own = async () => ownAddresses(publicAddresses, publicAddresses.length > 0 ? [] : await outwardAddresses())
  const dns = () => openDns({ servers: dnsServers })
  const ports = { http: publicHttpPort, https: publicHttpsPort }
  const directories = env.acme.production.map((authority) => authority.directory)
  // Created at first use: most processes never need it.
  let transport: Promise<AcmeTransport> | undefined
  const issuers = createIssuers(directories, async (url, signal) => {
    transport ??= createAcmeTransport({ caFile: env.acme.caFile })
    return (await transport).get(url, signal)
  })
  const checks = board
    ? createDomainChecks({
        prisma,
        bus,
        logger,
        baseDomain: env.baseDomain,
        sources: async () => ({ dns: dns(), own: await own(), issuers: await issuers.names(), board, ports }),
        onRouted: syncRoutes,
        ...(options.onReady ? { onReady: options.onReady } : {}),
      })
    : null
  const dashboard = env.publicUrl ? URL.parse(env.publicUrl)?.hostname : undefined
  const routesChanged = () => syncRoutes().catch((error) => logger.warn({ err: error }, 'routes not published; the monitor tries again'))
  const domains = createDomains({
    prisma,
    bus,
    baseDomain: env.baseDomain,
    reservedHosts: dashboard ? [dashboard] : [],
    claimSecret: options.claimSecret,
    own,
    openDns: dns,
    ports,
    certificateAuthority: env.acme.production.length > 0,
    checks,
    routesChanged,
  })
  return { domains, checks, start: () => (checks ? startDomainRounds({ prisma, bus, checks, logger }) : { stop: async () => {} }) }
}
