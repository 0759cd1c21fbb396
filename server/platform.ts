import type { StorageView } from '@/shared/views'
import type { Accounts } from './accounts/accounts'
import type { Actor } from './actor'
import type { ApiKeys } from './api-keys/api-keys'
import type { Certificates } from './certificates/certificates'
import type { DnsProviders } from './certificates/dns-providers'
import type { PrismaClient } from './database/client'
import type { Deployments } from './deployments'
import type { Domains } from './domains/domains'
import type { Environments } from './environments/environments'
import type { ShareLinks } from './environments/share-links'
import type { ChangeBus, DashboardChange } from './events/bus'
import type { ForgeConnections } from './forges/connections'
import type { GitEvents } from './git-events'
import type { Idempotency } from './idempotency/idempotency'
import type { Instances } from './instances'
import type { Projects } from './projects/projects'
import type { Variables } from './projects/variables'
import type { CacheControl } from './purge/purge'
import type { RequestLimits } from './request-limits/request-limits'
import type { Rules } from './rules/rules'
import type { Team } from './teams/team'
import type { Traffic } from './traffic/traffic'
import type { Webhooks } from './webhooks/webhooks'

/**
 * Use-cases that the control process provides to `server/api` (tRPC, REST, SSE, sign-in). Built in `compose.ts` and shared through
 * `globalThis`, because Next bundles its own copies of modules.
 * Every use-case throws AppError; a row of another team gives ERR_NOT_FOUND.
 */
export interface Platform {
  /** For use-cases that need only the database: `scopeTo(prisma, actor)` binds every query to the team. */
  prisma: PrismaClient
  bus: ChangeBus
  settings: {
    baseDomain: string
    edgeHttpPort: number
    /** URL of apps with `*` in place of the project's slug. */
    appUrlPattern: string
    port: number
    runtime: 'docker' | 'process'
    version: string
    /** Path of the CLI's npm package (`cli.tgz`), built together with the platform. */
    cliPackage: string
    authSecret: string
    /** Largest body of a webhook, in bytes. */
    webhookBytes: number
  }
  accounts: Accounts
  projects: Projects
  environments: Environments
  shareLinks: ShareLinks
  variables: Variables
  cache: CacheControl
  domains: Domains
  rules: Rules
  certificates: Certificates
  dnsProviders: DnsProviders
  webhooks: Webhooks
  forges: ForgeConnections
  deployments: Deployments
  gitEvents: GitEvents
  instances: Instances
  traffic: Traffic
  apiKeys: ApiKeys
  requestLimits: RequestLimits
  idempotency: Idempotency
  team: Team
  /** Yields after every change visible to the team (projects, deployments, instances): the dashboard refetches instead of polling. */
  changes(actor: Actor, signal: AbortSignal): AsyncIterable<{ kind: DashboardChange['kind']; id: string; projectId: string | null }>
  /** Yields when the permissions of the user or API key `actorId` changed or may have changed. */
  accessChanges(actorId: string, signal: AbortSignal): AsyncIterable<void>
  /** Logs an unexpected error with the request id that the response shows. */
  reportError?(error: unknown, info: { requestId: string; where: string }): void
  /** Disk usage by category, and the latest clean-ups. */
  storage(): Promise<StorageView>
  /** A sentence for people when a disk has too little space; null: enough. Returns the last measurement without I/O. */
  diskProblem(): string | null
  /** For GET /api/health. `ready`: start-up reconciliation is done. */
  health(): Promise<{
    ready: boolean
    installation: string
    /** Isolation that the runtime cannot enforce on this machine; null: complete. */
    weakness: string | null
    checks: Record<string, { ok: boolean; detail: string }>
  }>
}

const slot = globalThis as unknown as { __switchyard?: Platform }
export function publishPlatform(platform: Platform): void {
  slot.__switchyard = platform
}
/** The platform of this process. @throws before start-up has finished */
export function getPlatform(): Platform {
  if (!slot.__switchyard) throw new Error('the control process has not started yet')
  return slot.__switchyard
}
