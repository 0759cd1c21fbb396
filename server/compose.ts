import { hostname } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { createBuilder, type ManagedBuilder } from '@/builder'
import type { Builder } from '@/builder/builder'
import { version } from '@/package.json'
import { createRuntime } from '@/runtime'
import type { Runtime } from '@/runtime/driver'
import { newId } from '@/shared/node/ids'
import { reachOfUrls } from '@/shared/node/reach'
import type { BlobStore } from '@/storage/blob-store'
import { createLocalStore } from '@/storage/local'
import { createAccounts } from './accounts/accounts'
import { type FirstBoot, firstBoot } from './accounts/first-boot'
import type { Actor } from './actor'
import { createApiKeys } from './api-keys/api-keys'
import { type CertificateRoom, composeCertificates } from './certificates'
import { createCertificates } from './certificates/certificates'
import { createDnsProviders } from './certificates/dns-providers'
import { createOwnHosts, type OwnHosts } from './certificates/own-hosts'
import { type Database, openDatabase } from './database/client'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './database/embedded'
import { migrate } from './database/migrate'
import { createDeployments } from './deployments'
import { type Edge, projectUrl } from './deployments/present'
import { pruneArtifacts } from './deployments/prune'
import { firstHealsDone, reconcileAtStart } from './deployments/reconcile'
import { runBuild, runRelease } from './deployments/run'
import { tearDownProject } from './deployments/teardown'
import { startWatch } from './deployments/watch'
import { createDisk, type Disk } from './disk/disk'
import { composeDomains, type DomainRoom } from './domains'
import type { ServerEnv } from './env'
import { createEnvironments } from './environments/environments'
import { startExpiry } from './environments/expiry'
import { createShareLinks } from './environments/share-links'
import { accessChanges, type ChangeBus, createChangeBus, isForDashboards } from './events/bus'
import { createForgeConnections } from './forges/connections'
import { createGitEvents, queuePendingGitEvents, runGitEvents } from './git-events'
import { gitEventDeps } from './git-events/compose'
import { writeInstallationId } from './home'
import { withHomeLock } from './home-lock'
import { createIdempotency } from './idempotency/idempotency'
import { createInstances } from './instances'
import { createDrainer } from './instances/drainer'
import { healEnvironment } from './instances/heal'
import { createLogCollector } from './instances/log-collector'
import { type MonitorDeps, startMonitor } from './instances/monitor'
import { createStartGate } from './instances/start-gate'
import { jobCatalogue } from './jobs/catalogue'
import { startWorker } from './jobs/worker'
import { createChallengeBoard } from './link/challenges'
import { LinkHub } from './link/hub'
import { startOutgoing } from './outbox/start'
import type { Platform } from './platform'
import type { Projects } from './projects/projects'
import { createProjects } from './projects/projects'
import { sealRepositories } from './projects/seal-repositories'
import { createVariables } from './projects/variables'
import { createCacheControl } from './purge/purge'
import { createRequestLimits } from './request-limits/request-limits'
import { startRetention } from './retention'
import { recordProblems } from './routes/problem-record'
import { createRoutePublisher, type RoutePublisher } from './routes/publisher'
import { createRules } from './rules/rules'
import { readAuthSecret } from './secrets/key-file'
import { openSecrets, type Secrets } from './secrets/secrets'
import { openStaticContents, type StaticContents } from './static-content/static-content'
import { createTeam } from './teams/team'
import { startTrafficIngest } from './traffic/ingest'
import { createTraffic, type TrafficDeps } from './traffic/traffic'
import { createWebhooks } from './webhooks/webhooks'

/** web: dashboard and API; api: API only; worker: jobs, monitor and link to the routers. */
export const roles = ['web', 'api', 'worker'] as const
export type Role = (typeof roles)[number]

export interface Composition {
  platform: Platform
  /** One-time setup code to print at start. null: an account exists. */
  firstAccountCode: string | null
  /** Makes `health()` report ready. */
  ready(): void
  stop(): Promise<void>
}

/** Concurrent heal jobs. Most wait for a health check; `START_CONCURRENCY` separately bounds the apps that boot. */
const healConcurrency = 64
const pruneConcurrency = 2
/** Concurrent switches. Most of their time is a wait for a health check. */
const releaseConcurrency = 32
/** Concurrent projects whose Git events are decided: most wait for a repository. */
const gitEventConcurrency = 8
const poolSize = 20

/** Shared dependencies from which all parts are built. */
interface Foundation {
  env: ServerEnv
  logger: Logger
  embedded: EmbeddedPostgres | null
  database: Database
  bus: ChangeBus
  secrets: Secrets
  storage: BlobStore
  runtime: Runtime
  builder: Builder
  disk: Disk
  contents: StaticContents
  ownHosts: OwnHosts
  edge: Edge
  boot: FirstBoot
  installationId: string
  authSecret: string
}

/** Link to the routers and their traffic totals; present only in a process with the worker role. */
type Routers = NonNullable<TrafficDeps['edge']> & { hub: LinkHub }

/** Builds the control plane in dependency order. @throws AppError when the database, secrets or runtime cannot be used */
export async function compose(env: ServerEnv, roles: Set<Role>, logger: Logger): Promise<Composition> {
  // Lock: two processes that start at the same time would both generate the secrets of a new home.
  const base = await withHomeLock(env.home, 'boot', () => foundation(env, roles, logger))
  const { prisma } = base.database
  const hub = roles.has('worker')
    ? new LinkHub({ socketPath: path.join(env.home, 'run', 'edge.sock'), expectedWorkers: env.edgeWorkers, log: logger })
    : null
  await hub?.start()
  const ingest = hub && startTrafficIngest({ hub, pool: base.database.pool, bus: base.bus, logger })
  // No deployment is put to sleep yet; routers that ask all the same show their page at once.
  hub?.messages.onAsk('wake', async () => ({ accepted: false }))
  const sink = hub ?? { publish: async () => ({ acknowledged: 0 }) }
  const routes = createRoutePublisher({
    prisma,
    sink,
    baseDomain: env.baseDomain,
    dashboardUrl: dashboardUrlOf(env),
    contents: base.contents,
    ownHosts: base.ownHosts,
    outsideHosts: env.rewriteHosts,
    ports: { http: env.domains.publicHttpPort, https: env.domains.publicHttpsPort },
    // Only the process with the routers writes problems: two writers would overwrite each other's rows.
    ...(hub ? { onProblems: recordProblems({ prisma, bus: base.bus, logger }) } : {}),
  })
  const state = { ready: false }
  const board = hub ? createChallengeBoard(hub.messages) : null
  const syncRoutes = () => routes.sync()
  const onReady = (domainId: string) => certificates?.domainReady(domainId)
  const domains: DomainRoom = composeDomains({ ...base, prisma, board, claimSecret: base.authSecret, syncRoutes, onReady })
  const { checks } = domains
  const certificates: CertificateRoom | null =
    hub && board && checks ? composeCertificates({ ...base, ...base.database, hub, board, checks, syncRoutes }) : null
  const worker = hub ? await startWorkerRole(base, hub, routes, domains, certificates) : null
  return {
    platform: createPlatform(base, routes, hub && ingest && { hub, totals: ingest.totals }, domains, state),
    firstAccountCode: base.boot.code,
    ready() {
      state.ready = true
    },
    async stop() {
      state.ready = false
      await worker?.stop()
      // Containers keep running under the container engine. App processes are our children: stop them.
      if (hub && base.runtime.kind === 'process') await stopApps(base.runtime)
      await base.runtime.close()
      await hub?.close()
      await ingest?.stop()
      await base.bus.close()
      await base.database.close()
      await base.embedded?.stop()
    },
  }
}

const dashboardUrlOf = (env: ServerEnv): string => env.publicUrl ?? `http://localhost:${env.port}`

async function foundation(env: ServerEnv, roles: Set<Role>, logger: Logger): Promise<Foundation> {
  const embedded = env.databaseUrl
    ? null
    : await startEmbeddedPostgres({ home: env.home, onRestart: (reason) => logger.warn({ reason }, 'embedded Postgres') })
  const url = env.databaseUrl ?? embedded?.url ?? ''
  const applied = await migrate(url)
  if (applied.length > 0) logger.info({ applied }, 'database migrated')
  const database = openDatabase(url, { poolSize, onError: (error) => logger.warn({ err: error }, 'database connection lost') })
  const secrets = await openSecrets({ prisma: database.prisma, home: env.home })
  const sealed = await sealRepositories({ prisma: database.prisma, secrets })
  if (sealed > 0) logger.info({ rows: sealed }, 'credentials in addresses of repositories are sealed now')
  const boot = await firstBoot({ prisma: database.prisma, secrets, home: env.home, bootstrap: env.bootstrap, issueCode: roles.has('web') })
  const { installationId } = boot
  await writeInstallationId(env.home, installationId)
  const storage = createLocalStore(path.join(env.home, 'storage'))
  // Builds may also reach the configured proxies and registries in private networks.
  const reach = { apps: env.appReach, builds: [...env.appReach, ...(await reachOfUrls(Object.values(env.builderEnv)))] }
  const runtime = await createRuntime({
    kind: env.runtime === 'auto' && (await servesImages(database)) ? 'docker' : env.runtime,
    installationId,
    home: env.home,
    storage,
    dockerSocket: env.dockerSocket,
    nodeBinary: process.execPath,
    scratchBytes: env.appScratchBytes,
    cacheBytes: env.appCacheBytes,
    reach,
    fetchNode: (version) => builder.fetchNode(version),
    logger,
  })
  const builder: ManagedBuilder = await createBuilder({
    installationId,
    home: env.home,
    storage,
    dockerSocket: runtime.kind === 'docker' ? env.dockerSocket : null,
    nodeBinary: process.execPath,
    staticServerFile: fileURLToPath(new URL('../dist/static-server.mjs', import.meta.url)),
    allowUnconfinedDockerfiles: env.unconfinedDockerfiles,
    unpackerFile: fileURLToPath(new URL('../dist/unpacker.mjs', import.meta.url)),
    hostEnv: env.builderEnv,
    reach: reach.builds,
    logger,
  })
  // Pull the base image in the background, so that the first deployment does not wait for it.
  if (runtime.kind === 'docker')
    void builder.prepare().catch((error) => logger.warn({ err: error }, 'base image not made yet; the first deployment makes it'))
  const disk = createDisk({ home: env.home, pool: database.pool, storage, builder, limits: env.disk, logger })
  const contents = await openStaticContents({ home: env.home, builder, logger })
  const bus = createChangeBus({ url, pool: database.pool, logger })
  const ownHosts = createOwnHosts({ files: env.ownHosts, baseDomain: env.baseDomain, logger })
  await ownHosts.read()
  const edge = visibleEdge(env, ownHosts)
  const authSecret = await readAuthSecret(env.home)
  return {
    env,
    logger,
    embedded,
    database,
    bus,
    secrets,
    storage,
    runtime,
    builder,
    disk,
    contents,
    ownHosts,
    edge,
    boot,
    installationId,
    authSecret,
  }
}

/** Public scheme and port of the routers. Getters: a certificate that is added, renewed or expired changes them without a restart. */
function visibleEdge({ domains, edgeHttpsPort, baseDomain }: ServerEnv, ownHosts: OwnHosts): Edge {
  const secure = () => edgeHttpsPort !== 0 && (ownHosts.last.pair?.notAfter ?? 0) > Date.now()
  return {
    baseDomain,
    get scheme() {
      return secure() ? 'https' : 'http'
    },
    get port() {
      return secure() ? domains.publicHttpsPort : domains.shownHttpPort
    },
  }
}

/** Whether a live release is a container image. Then `auto` must wait for the container engine instead of falling back to processes. */
async function servesImages(database: Database): Promise<boolean> {
  const { rowCount } = await database.pool.query(
    `SELECT 1 FROM "Environment" e JOIN "Release" r ON r."id" = e."liveReleaseId" JOIN "Artifact" a ON a."id" = r."artifactId"
     WHERE a."kind" = 'image' LIMIT 1`,
  )
  return (rowCount ?? 0) > 0
}

/** Starts everything with side effects on the machine: reconciles first, then accepts jobs. */
async function startWorkerRole(
  base: Foundation,
  hub: LinkHub,
  routes: RoutePublisher,
  domains: DomainRoom,
  certificates: CertificateRoom | null,
): Promise<{ stop(): Promise<void> }> {
  const { logger, runtime, bus, secrets, builder, contents, installationId, env } = base
  const { prisma, pool } = base.database
  const machine = `${hostname()}/${env.home}`
  const owner = `${machine}:${newId()}`
  const inFlight = (instanceIds: string[]) => hub.inFlight(instanceIds, { deadlineMs: 2_000 })
  const collector = createLogCollector({ prisma, pool, runtime, secrets, bus, logger })
  const endConnections = async (instanceIds: string[]) => void (await hub.messages.command('end-connections', { instanceIds }, { deadlineMs: 5_000 }))
  const drainer = createDrainer({ prisma, runtime, routes, inFlight, endConnections, bus, logger })
  const startGate = createStartGate(env.startConcurrency)
  const maxHeaderBytes = env.edgeMaxHeaderBytes
  const shared = { prisma, pool, bus, runtime, routes, contents, drainer, secrets, installationId, maxHeaderBytes, logger }
  const monitorDeps: MonitorDeps = { ...shared, startGate, collector }
  await reconcileAtStart(monitorDeps, machine)
  await routes.sync().catch((error) => logger.warn({ err: error }, 'routers do not serve the newest table yet; they keep the one they have'))
  const worker = startWorker({
    pool,
    bus,
    owner,
    logger,
    concurrency: {
      build: env.deployConcurrency,
      release: releaseConcurrency,
      heal: healConcurrency,
      prune: pruneConcurrency,
      'git-events': gitEventConcurrency,
    },
    handlers: {
      build: ({ deploymentId }, job) => runBuild({ ...shared, builder, owner, maxAttempts: jobCatalogue.build.maxAttempts }, deploymentId, job),
      release: ({ deploymentId }, job) => runRelease({ ...shared, builder, owner, maxAttempts: jobCatalogue.release.maxAttempts }, deploymentId, job),
      heal: ({ environmentId }, job) => healEnvironment(monitorDeps, environmentId, job.signal),
      prune: ({ projectId }) => pruneArtifacts({ prisma, builder, contents, runtime, logger }, projectId),
      'git-events': ({ projectId }, job) => runGitEvents(gitDeps(base, routes), projectId, job),
    },
  })
  await queuePendingGitEvents(pool)
  const monitor = startMonitor(monitorDeps)
  const watch = startWatch({ prisma, pool, bus, logger })
  const retention = startRetention({ pool, logger })
  const expiry = startExpiry({ prisma, bus, logger })
  const outgoing = startOutgoing({
    prisma,
    secrets,
    bus,
    edge: base.edge,
    dashboardUrl: dashboardUrlOf(env),
    webhooks: env.webhooks,
    natsUrl: env.natsUrl,
    logger,
  })
  const space = base.disk.start()
  const rounds = domains.start()
  const orders = await certificates?.start(machine, owner)
  await firstHealsDone(pool)
  return {
    async stop() {
      retention.stop()
      expiry.stop()
      await outgoing.stop()
      space.stop()
      await orders?.stop()
      await rounds.stop()
      await watch.stop()
      await monitor.stop()
      await worker.stop()
      await drainer.stop()
      await collector.stop()
    },
  }
}

const gitDeps = (base: Foundation, routes: RoutePublisher) =>
  gitEventDeps({ ...base, ...base.database, dashboardUrl: dashboardUrlOf(base.env), routesChanged: () => syncSoon(base, routes) })

async function stopApps(runtime: Runtime): Promise<void> {
  const running = await runtime.list()
  await Promise.all(running.map((instance) => runtime.stop(instance.owner.instanceId, 10_000)))
}

function createPlatform(
  base: Foundation,
  routes: RoutePublisher,
  routers: Routers | null,
  { domains }: DomainRoom,
  state: { ready: boolean },
): Platform {
  const { env, secrets, bus, runtime, builder, storage, edge } = base
  const { prisma } = base.database
  return {
    prisma,
    bus,
    settings: {
      baseDomain: env.baseDomain,
      edgeHttpPort: env.edgeHttpPort,
      get appUrlPattern() {
        return projectUrl('*', edge)
      },
      port: env.port,
      runtime: runtime.kind,
      version,
      cliPackage: fileURLToPath(new URL('../dist/cli.tgz', import.meta.url)),
      authSecret: base.authSecret,
      webhookBytes: env.webhookBytes,
    },
    accounts: createAccounts({ prisma, secrets }),
    projects: routedProjects(base, routes),
    environments: createEnvironments({ prisma, bus, edge, routesChanged: () => syncSoon(base, routes) }),
    shareLinks: createShareLinks({ prisma, secrets, bus, edge, routesChanged: () => syncSoon(base, routes) }),
    variables: createVariables({ prisma, bus, secrets }),
    cache: createCacheControl({ prisma, talk: routers?.hub.messages ?? null, expected: env.edgeWorkers }),
    domains,
    rules: createRules({
      prisma,
      bus,
      outsideHosts: env.rewriteHosts,
      routesChanged: () => syncSoon(base, routes),
      closedBy: (place, settings) => routes.closedBy(place, settings),
    }),
    certificates: createCertificates({ prisma, secrets, bus, routesChanged: () => syncSoon(base, routes) }),
    dnsProviders: createDnsProviders({ prisma, secrets }),
    webhooks: createWebhooks({ prisma, secrets, settings: env.webhooks }),
    forges: createForgeConnections({ prisma, secrets }),
    deployments: createDeployments({ prisma, bus, storage, builder, disk: base.disk, edge, secrets }),
    gitEvents: createGitEvents(gitDeps(base, routes)),
    instances: createInstances({ prisma, runtime, bus }),
    traffic: createTraffic({ prisma, pool: base.database.pool, bus, edge: routers }),
    apiKeys: createApiKeys({ prisma, secrets }),
    requestLimits: createRequestLimits(env.requestLimits),
    idempotency: createIdempotency({ prisma, secrets, keepHours: env.idempotencyHours }),
    team: createTeam({ prisma }),
    changes: (actor, signal) => teamChanges(bus, actor, signal),
    accessChanges: (actorId, signal) => accessChanges(bus, actorId, signal),
    reportError: (error, info) => base.logger.error({ err: error, ...info }, 'a request failed unexpectedly'),
    storage: () => base.disk.view(),
    diskProblem: () => base.disk.problem(),
    health: () => health(base, routers?.hub ?? null, state.ready),
  }
}

/** Publishes routes. A failure is only logged: the change is already recorded, and the monitor retries. */
const syncSoon = (base: Foundation, routes: RoutePublisher): Promise<void> =>
  routes.sync().catch((error) => base.logger.warn({ err: error }, 'routes not published; the monitor tries again'))

/** Projects whose removal resolves only after the routers have dropped their routes. */
function routedProjects(base: Foundation, routes: RoutePublisher): Projects {
  const { bus, secrets, builder, contents, runtime, edge } = base
  const { prisma } = base.database
  const projects = createProjects({
    prisma,
    bus,
    secrets,
    builder,
    edge,
    teardown: (projectId) => tearDownProject({ prisma, bus, runtime, builder, contents }, projectId),
  })
  const sync = () => syncSoon(base, routes)
  return {
    ...projects,
    async create(actor, input) {
      const project = await projects.create(actor, input)
      void sync()
      return project
    },
    async remove(actor, projectId, confirmName) {
      await projects.remove(actor, projectId, confirmName)
      await sync()
    },
  }
}

async function* teamChanges(bus: ChangeBus, actor: Actor, signal: AbortSignal): ReturnType<Platform['changes']> {
  for await (const change of bus.listen((c) => c.teamId === actor.teamId && isForDashboards(c), signal)) {
    // null: changes were missed. An empty id makes the dashboard refetch everything.
    if (!change) yield { kind: 'project', id: '', projectId: null }
    else if (isForDashboards(change)) yield { kind: change.kind, id: change.id, projectId: change.projectId }
  }
}

/** Health check of the certificate for hosts below the base domain. */
async function ownCertificate({ ownHosts, env }: Foundation): Promise<{ ok: boolean; detail: string }> {
  const pair = await ownHosts.read()
  const { problem } = ownHosts.last
  const why = problem === null ? '' : `The files cannot be used: ${problem}. `
  if (!pair) return { ok: false, detail: `${why}Hosts below ${env.baseDomain} are served over HTTP alone.` }
  const until = new Date(pair.notAfter).toISOString().slice(0, 10)
  return { ok: problem === null && pair.notAfter > Date.now(), detail: `${why}In use: one of *.${env.baseDomain}, until ${until}.` }
}

async function health(base: Foundation, hub: LinkHub | null, ready: boolean): ReturnType<Platform['health']> {
  const database = await base.database.pool.query('SELECT 1').then(
    () => ({ ok: true, detail: 'answers' }),
    () => ({ ok: false, detail: `does not answer${base.disk.problem() ? `: ${base.disk.problem()}` : ''}; apps keep serving` }),
  )
  const engine = await base.runtime.health()
  const connected = hub?.status().workers.filter((w) => w.listening).length ?? 0
  return {
    ready: ready && database.ok,
    installation: base.installationId,
    weakness: engine.ok ? engine.weakness : null,
    checks: {
      database,
      disk: base.disk.health(),
      runtime: engine.ok ? { ok: true, detail: `${base.runtime.kind}: ${engine.detail}` } : { ok: false, detail: engine.reason },
      ...(base.env.ownHosts ? { certificate: await ownCertificate(base) } : {}),
      ...(hub ? { routers: { ok: connected >= base.env.edgeWorkers, detail: `${connected} of ${base.env.edgeWorkers} connected` } } : {}),
    },
  }
}
