import type { z } from 'zod'
import type {
  CertificateDetail,
  CertificateFilter,
  CertificatePage,
  CertificateUpload,
  CertificateView,
  DnsProviderInput,
  DnsProviderView,
  dnsProviderPatch,
} from '@/shared/certificates'
import type { DomainFilter, DomainPage, DomainPreview, DomainView, domainInput, domainPatch } from '@/shared/domains'
import type { EdgePolicyPatch, EdgePolicyUpdated, EdgePolicyView } from '@/shared/edge-settings'
import type { PurgeInput, PurgeView } from '@/shared/purge'
import type { DeploymentStatus } from '@/shared/states'
import type { RequestFilter, RequestView, TargetEventView, TrafficRange, TrafficSeries } from '@/shared/traffic'
import type {
  ApiKeyView,
  ClearedCacheView,
  DeploymentSummary,
  DeploymentView,
  deploymentInput,
  InspectionView,
  InstanceView,
  LogLineView,
  MemberView,
  MeView,
  ProjectView,
  projectInput,
  projectPatch,
  StorageView,
  VariableView,
  variableInput,
} from '@/shared/views'
import type { DashboardChange } from './events/bus'
import type { Idempotency } from './idempotency/idempotency'
import type { RequestLimits } from './request-limits/request-limits'
import type { FollowQuery } from './traffic/requests'

/** Who asks, for which team, with which role. Every use-case takes one; the data-access layer scopes every query to `teamId`. */
export interface Actor {
  kind: 'user' | 'api-key' | 'system'
  /** User or key id. */
  id: string
  /** For the audit log. */
  name: string
  teamId: string
  role: 'owner' | 'admin' | 'member'
  /** Runs this machine: may fetch sources from private networks. */
  operator: boolean
  /** When the key or session ends by itself; null or absent: not by time. */
  expiresAt?: Date | null
  /** Where the request came from, for the audit log. */
  address?: string
}

export interface Page {
  limit: number
  /** Id of the last row of the page before. */
  cursor?: string | undefined
}

/**
 * What the control process offers to `server/api` (tRPC, REST, SSE, sign-in). Composed in `server/main.ts` and handed over through
 * `globalThis`, because Next bundles its own copies of modules.
 * Every use-case throws AppError; ERR_NOT_FOUND also for what belongs to another team.
 */
export interface Platform {
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
  accounts: {
    /** True until the first account exists. */
    setupNeeded(): Promise<boolean>
    /** Creates the first account with the one-time code the server printed. @throws ERR_FORBIDDEN wrong code, ERR_CONFLICT when there is an account already, ERR_RATE_LIMITED */
    createFirstAccount(
      input: { code: string; email: string; password: string; name?: string | undefined },
      address: string,
    ): Promise<{ userId: string }>
    /** null when e-mail or password is wrong; takes equally long either way. @throws ERR_RATE_LIMITED */
    verifyPassword(
      email: string,
      password: string,
      /** `device`: id of a device that has signed in to this very account before. */
      from: { address: string; device: string | null },
    ): Promise<{ id: string; name: string | null; email: string } | null>
    /** Records a sign-in; the id is what its cookie carries. */
    beginSession(userId: string, place: { address: string; userAgent: string | null }): Promise<string>
    endSession(sessionId: string): Promise<void>
    /** The person's membership in `teamId`, or in their first team. null: the session has ended, or there is no such team. */
    actorOfSession(sessionId: string, teamId?: string | undefined): Promise<Actor | null>
    actorOfApiKey(key: string): Promise<Actor | null>
    /** Who the actor is, for the dashboard's menu and `switchyard whoami`. */
    describe(actor: Actor): Promise<MeView>
    teamsOfUser(userId: string): Promise<{ id: string; name: string; slug: string; role: 'owner' | 'admin' | 'member' }[]>
  }
  projects: {
    list(actor: Actor): Promise<ProjectView[]>
    /** Newest first. @throws ERR_INVALID_INPUT when the cursor's row is gone */
    page(actor: Actor, page: Page): Promise<{ items: ProjectView[]; nextCursor: string | null }>
    get(actor: Actor, idOrSlug: string): Promise<ProjectView>
    create(actor: Actor, input: z.output<typeof projectInput>): Promise<ProjectView>
    update(actor: Actor, projectId: string, patch: z.output<typeof projectPatch>): Promise<ProjectView>
    /** Stops its instances, removes its routes, artifacts and record. The name must be typed again. */
    remove(actor: Actor, projectId: string, confirmName: string): Promise<void>
    /** The next build uses nothing of earlier ones. @throws ERR_CONFLICT while one is running */
    clearBuildCache(actor: Actor, project: string): Promise<ClearedCacheView>
    inspect(
      actor: Actor,
      input: { repository: string; branch?: string | null | undefined; rootDirectory?: string | null | undefined },
      signal?: AbortSignal,
    ): Promise<InspectionView>
  }
  variables: {
    list(actor: Actor, projectId: string, environment?: string): Promise<VariableView[]>
    set(actor: Actor, projectId: string, input: z.output<typeof variableInput>, environment?: string): Promise<VariableView>
    remove(actor: Actor, projectId: string, key: string, environment?: string): Promise<void>
  }
  cache: {
    /** Has every router forget what it keeps of the project's answers. */
    purge(actor: Actor, project: string, input: PurgeInput): Promise<PurgeView>
  }
  /** A domain is named by its id or hostname. */
  domains: {
    /** By name. @throws ERR_INVALID_INPUT when the cursor's row is gone */
    list(actor: Actor, project: string, filter: DomainFilter, page: Page): Promise<DomainPage>
    /** Also tells the doctor that somebody looks: until all is well the next check comes soon. */
    get(actor: Actor, domain: string): Promise<DomainView>
    /** What would have to be set, before it is added. @throws ERR_INVALID_INPUT for what cannot be a domain */
    preview(actor: Actor, project: string, hostname: string): Promise<DomainPreview>
    /** @throws ERR_CONFLICT when another project has it, or another team and DNS does not prove that it is this team's. */
    add(actor: Actor, project: string, input: z.output<typeof domainInput>): Promise<DomainView>
    update(actor: Actor, domain: string, patch: z.output<typeof domainPatch>): Promise<DomainView>
    /** The hostname must be typed again. */
    remove(actor: Actor, domain: string, confirmHostname: string): Promise<void>
    /** Examines it now; returns when that is done. */
    check(actor: Actor, domain: string): Promise<DomainView>
  }
  /** Rules of a project: redirects, rewrites, headers, protection, limits. By id or slug. */
  edgePolicy: {
    get(actor: Actor, project: string): Promise<EdgePolicyView>
    /** In effect at once. Passwords and tokens are hashed. @throws ERR_INVALID_INPUT naming the rules that cannot be */
    update(actor: Actor, project: string, patch: EdgePolicyPatch): Promise<EdgePolicyUpdated>
  }
  certificates: {
    /** Newest first. @throws ERR_INVALID_INPUT when the cursor's row is gone */
    list(actor: Actor, filter: CertificateFilter, page: Page): Promise<CertificatePage>
    /** With the latest attempts. */
    get(actor: Actor, certificateId: string): Promise<CertificateDetail>
    /** Asks for it now, within the bound on asking in vain. @throws ERR_CONFLICT while it is under way */
    retry(actor: Actor, certificateId: string): Promise<CertificateView>
    /** A certificate of the person's own. @throws ERR_INVALID_INPUT naming what does not fit */
    upload(actor: Actor, input: CertificateUpload): Promise<CertificateView>
    /** @throws ERR_CONFLICT for an automatic one */
    remove(actor: Actor, certificateId: string): Promise<void>
  }
  dnsProviders: {
    list(actor: Actor): Promise<DnsProviderView[]>
    create(actor: Actor, input: DnsProviderInput): Promise<DnsProviderView>
    update(actor: Actor, id: string, patch: z.output<typeof dnsProviderPatch>): Promise<DnsProviderView>
    /** @throws ERR_CONFLICT while a domain uses it */
    remove(actor: Actor, id: string): Promise<void>
  }
  deployments: {
    /** A PENDING record exists when this returns. @throws ERR_DEPLOYMENT_RUNNING (409) */
    create(actor: Actor, input: z.output<typeof deploymentInput>): Promise<DeploymentView>
    list(
      actor: Actor,
      filter: { projectId?: string | undefined; status?: DeploymentStatus | undefined },
      page: Page,
    ): Promise<{ items: DeploymentSummary[]; nextCursor: string | null }>
    get(actor: Actor, deploymentId: string): Promise<DeploymentView>
    cancel(actor: Actor, deploymentId: string): Promise<DeploymentView>
    /**
     * Lines after `after`, then, when following, new ones. Ends when the deployment is live or has ended (`until: 'settled'`, the default),
     * or only when it no longer serves (`'stopped'`: the app's own output too).
     */
    logs(
      actor: Actor,
      deploymentId: string,
      query: {
        after?: string | undefined
        tail?: number | undefined
        follow: boolean
        until?: 'settled' | 'stopped' | undefined
        signal: AbortSignal
      },
    ): AsyncIterable<LogLineView>
    /** Yields the view at once and again after each change, until the deployment has ended. */
    watch(actor: Actor, deploymentId: string, signal: AbortSignal): AsyncIterable<DeploymentView>
    /** Zip of the artifact. */
    download(actor: Actor, deploymentId: string): Promise<{ fileName: string; stream: NodeJS.ReadableStream }>
    /** Stores an uploaded tar or tar.gz for a later `create({source})`. */
    uploadSource(actor: Actor, content: AsyncIterable<Uint8Array>): Promise<{ source: string; sizeBytes: number }>
  }
  instances: {
    list(actor: Actor, projectId: string): Promise<InstanceView[]>
    logs(
      actor: Actor,
      instanceId: string,
      query: { after?: string | undefined; tail?: number | undefined; follow: boolean; signal: AbortSignal },
    ): AsyncIterable<LogLineView>
  }
  traffic: {
    /** Counts, bytes and percentiles of a project over a range. */
    series(actor: Actor, projectId: string, query: { range: TrafficRange; host?: string | undefined }): Promise<TrafficSeries>
    /** Requests the routers wrote down: all errors, a sample of the rest; newest first. */
    requests(
      actor: Actor,
      projectId: string,
      query: RequestFilter & { limit: number; cursor?: string | undefined },
    ): Promise<{ items: RequestView[]; nextCursor: string | null }>
    /** The last ones, then new ones as they come; while it is read, routers tell of all requests of the project. */
    follow(actor: Actor, projectId: string, query: FollowQuery): AsyncIterable<RequestView>
    /** When routers took instances out of the rotation and back, newest first. */
    targetEvents(actor: Actor, projectId: string): Promise<TargetEventView[]>
    /** The team's figures as Prometheus scrapes them. @throws ERR_UNAVAILABLE in a process without routers */
    metrics(actor: Actor): Promise<string>
  }
  apiKeys: {
    list(actor: Actor): Promise<ApiKeyView[]>
    /** `key` is shown this once. */
    create(
      actor: Actor,
      input: { name: string; role: 'admin' | 'member'; expiresInDays?: number | null | undefined },
    ): Promise<ApiKeyView & { key: string }>
    revoke(actor: Actor, id: string): Promise<void>
  }
  requestLimits: RequestLimits
  idempotency: Idempotency
  team: { members(actor: Actor): Promise<MemberView[]> }
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
