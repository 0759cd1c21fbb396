import type { StorageView } from '@/shared/views'
import type { Accounts } from './accounts/accounts'
import type { Actor } from './actor'
import type { ApiKeys } from './api-keys/api-keys'
import type { Certificates } from './certificates/certificates'
import type { DnsProviders } from './certificates/dns-providers'
import type { PrismaClient } from './database/client'
import type { Deployments } from './deployments'
import type { Domains } from './domains/domains'
import type { ChangeBus, DashboardChange } from './events/bus'
import type { Idempotency } from './idempotency/idempotency'
import type { Instances } from './instances'
import type { Projects } from './projects/projects'
import type { Variables } from './projects/variables'
import type { CacheControl } from './purge/purge'
import type { RequestLimits } from './request-limits/request-limits'
import type { Rules } from './rules/rules'
import type { Team } from './teams/team'
import type { Traffic } from './traffic/traffic'

/**
 * What the control process offers to `server/api` (tRPC, REST, SSE, sign-in). Composed in `compose.ts` and handed over through
 * `globalThis`, because Next bundles its own copies of modules.
 * Every use-case throws AppError; ERR_NOT_FOUND also for what belongs to another team.
 */
export interface Platform {
  /** For use-cases that need no more: `scopeTo(prisma, actor)` binds every query to the team. */
  prisma: PrismaClient
  bus: ChangeBus
  settings: {
    baseDomain: string
    edgeHttpPort: number
    /** Where apps answer, a `*` in place of the project's slug. */
    appUrlPattern: string
    port: number
    runtime: 'docker' | 'process'
    version: string
    /** File of the `switchyard` command as an npm package, built with the platform. */
    cliPackage: string
    authSecret: string
  }
  accounts: Accounts
  projects: Projects
  variables: Variables
  cache: CacheControl
  domains: Domains
  rules: Rules
  certificates: Certificates
  dnsProviders: DnsProviders
  deployments: Deployments
  instances: Instances
  traffic: Traffic
  apiKeys: ApiKeys
  requestLimits: RequestLimits
  idempotency: Idempotency
  team: Team
  /** Yields after every change the team can see (projects, deployments, instances): the dashboard refetches instead of polling. */
  changes(actor: Actor, signal: AbortSignal): AsyncIterable<{ kind: DashboardChange['kind']; id: string; projectId: string | null }>
  /** Yields whenever what the person or key `actorId` may do has changed, or may have. */
  accessChanges(actorId: string, signal: AbortSignal): AsyncIterable<void>
  /** An error nobody expected: logged with the request id the person was shown. */
  reportError?(error: unknown, info: { requestId: string; where: string }): void
  /** What takes space on the machine's disks, and what was removed. */
  storage(): Promise<StorageView>
  /** A sentence while there is too little space on a disk; null: enough. Asks nobody. */
  diskProblem(): string | null
  /** For GET /api/health: ready when start-up reconciliation is done. */
  health(): Promise<{
    ready: boolean
    installation: string
    /** What apps are not kept from. */
    weakness: string | null
    checks: Record<string, { ok: boolean; detail: string }>
  }>
}

const slot = globalThis as unknown as { __switchyard?: Platform }
export function publishPlatform(platform: Platform): void {
  slot.__switchyard = platform
}
/** The composed platform of this process; throws before start-up is over. */
export function getPlatform(): Platform {
  if (!slot.__switchyard) throw new Error('the control process has not started yet')
  return slot.__switchyard
}
