import type { Pool } from 'pg'
import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import type { DomainChecks } from '../domains/checks'
import type { ServerEnv } from '../env'
import type { ChangeBus } from '../events/bus'
import type { ChallengeBoard } from '../link/challenges'
import type { LinkHub } from '../link/hub'
import type { Secrets } from '../secrets/secrets'
import { createAcmeAccounts } from './accounts'
import { type AcmeTransport, createAcmeTransport } from './acme'
import { createAnswers } from './answers'
import { precheckStep } from './attempt'
import { openDnsProvider } from './dns'
import type { OwnHosts } from './own-hosts'
import { breakLeases, domainReady } from './record'
import { type CertificateScheduler, startScheduler } from './scheduler'
import { createCertificateSupply } from './supply'

export interface CertificateRoomOptions {
  env: Pick<ServerEnv, 'acme' | 'domains'>
  prisma: PrismaClient
  pool: Pool
  secrets: Secrets
  bus: ChangeBus
  logger: Logger
  hub: LinkHub
  board: ChallengeBoard
  checks: DomainChecks
  syncRoutes: () => Promise<void>
  ownHosts: OwnHosts
}

const cleanAfterMs = 120_000

/** Background work on certificates: orders, renewals, and the supply of the routers. */
export interface CertificateRoom {
  /** Call when a CA may be asked about this domain. */
  domainReady(domainId: string): void
  /** Starts the work. `machine` prefixes every lease of this machine's processes; leases of its earlier, dead process are released. */
  start(machine: string, owner: string): Promise<{ stop(): Promise<void> }>
}

export function composeCertificates(options: CertificateRoomOptions): CertificateRoom {
  const { env, prisma, pool, secrets, bus, logger, hub, ownHosts } = options
  let scheduler: CertificateScheduler | null = null
  hub.messages.onAsk('certificates', createCertificateSupply({ prisma, secrets, logger, ownHosts }))
  return {
    domainReady(domainId) {
      domainReady(pool, domainId, precheckStep, Date.now())
        .catch((error) => logger.warn({ err: error, domainId }, 'a certificate waits longer than it must'))
        .finally(() => scheduler?.wake())
    },
    async start(machine, owner) {
      await breakLeases(pool, machine)
      const transport = await createAcmeTransport({ caFile: env.acme.caFile })
      const running = start(options, transport, owner)
      scheduler = running
      const stopping = new AbortController()
      // Delay: a CA may still validate challenges that the previous process published.
      const cleaning = setTimeout(() => void options.board.clean(), cleanAfterMs).unref()
      const listening = (async () => {
        // Changes made by processes without routers: a certificate to retry, a changed domain.
        for await (const _ of bus.listen((change) => change.kind === 'domain', stopping.signal)) running.wake()
      })()
      return {
        async stop() {
          stopping.abort()
          clearTimeout(cleaning)
          await Promise.all([running.stop(), listening])
          transport.close()
        },
      }
    },
  }
}

function start(options: CertificateRoomOptions, transport: AcmeTransport, owner: string): CertificateScheduler {
  const { env, prisma, pool, secrets, bus, logger, hub, board, checks, syncRoutes } = options
  const dnsServers = env.domains.dnsServers ?? []
  return startScheduler({
    pool,
    prisma,
    secrets,
    transport,
    owner,
    authorities: env.acme,
    accounts: createAcmeAccounts({ prisma, secrets, transport, email: env.acme.email }),
    answers: createAnswers({
      prisma,
      secrets,
      board,
      dnsServers,
      routers: () => hub.status().workers.filter((worker) => worker.listening).length,
      openProvider: openDnsProvider,
    }),
    async precheck(domain) {
      const { ready, problem } = await checks.precheck(domain.id)
      if (ready) return null
      return problem ?? { code: 'ERR_INVALID_INPUT', message: 'The checks of the domain do not pass yet.' }
    },
    async changed(row, supplied) {
      if (supplied)
        await syncRoutes().catch((error) => logger.warn({ err: error }, 'routers do not have the new certificate yet; the monitor tries again'))
      const { teamId, domainId, domain } = row
      await bus.publish({ kind: 'domain', id: domainId, teamId, projectId: domain.projectId })
    },
    now: Date.now,
    random: Math.random,
    logger,
  })
}
