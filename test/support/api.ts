import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import type { Builder } from '@/builder/builder'
import type { Runtime } from '@/runtime/driver'
import { createAccounts } from '@/server/accounts/accounts'
import { type FirstBoot, firstBoot } from '@/server/accounts/first-boot'
import type { Actor } from '@/server/actor'
import { createApiKeys } from '@/server/api-keys/api-keys'
import { hashApiKey, newApiKey, prefixOf } from '@/server/api-keys/key'
import { createCertificates } from '@/server/certificates/certificates'
import { createDnsProviders } from '@/server/certificates/dns-providers'
import { type Database, openDatabase } from '@/server/database/client'
import { createDeployments } from '@/server/deployments'
import { openDns } from '@/server/domains/doctor/dns'
import { createDomains } from '@/server/domains/domains'
import type { ServerEnv } from '@/server/env'
import { createEnvironments } from '@/server/environments/environments'
import { createShareLinks } from '@/server/environments/share-links'
import { accessChanges, type ChangeBus, createChangeBus, isForDashboards } from '@/server/events/bus'
import { createForgeConnections } from '@/server/forges/connections'
import { createGitEvents } from '@/server/git-events'
import { gitEventDeps } from '@/server/git-events/compose'
import { createIdempotency } from '@/server/idempotency/idempotency'
import { createInstances } from '@/server/instances'
import { LinkMessages } from '@/server/link/link-messages'
import { type Platform, publishPlatform } from '@/server/platform'
import { createProjects } from '@/server/projects/projects'
import { createVariables } from '@/server/projects/variables'
import { createCacheControl } from '@/server/purge/purge'
import { createRequestLimits } from '@/server/request-limits/request-limits'
import { createRules } from '@/server/rules/rules'
import { openSecrets, type Secrets } from '@/server/secrets/secrets'
import type { Role } from '@/server/teams/policy'
import { createTeam } from '@/server/teams/team'
import { createTraffic } from '@/server/traffic/traffic'
import { createWebhooks } from '@/server/webhooks/webhooks'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { createLocalStore } from '@/storage/local'
import { createTestDatabase } from './database'

export interface TestApi {
  database: Database
  secrets: Secrets
  bus: ChangeBus
  home: string
  boot: FirstBoot
  platform: Platform
  /** Projects whose teardown was asked for. */
  tornDown: string[]
  addTeam(name: string): Promise<string>
  /** An API key of a role, as its bearer sends it. */
  addKey(teamId: string, role: Role, options?: { operator?: boolean; expiresAt?: Date }): Promise<string>
  /** Who speaks with such a key. */
  actorOf(teamId: string, role: Role, options?: { operator?: boolean }): Promise<Actor>
  close(): Promise<void>
}

/** An engine that is not there: what asks it gets the answer a person gets when Docker is down. */
function absent<T extends object>(name: string): T {
  return new Proxy({} as T, {
    get: () => () => {
      throw new AppError('ERR_UNAVAILABLE', `${name} is not part of this test`)
    },
  })
}

/** The API on a real database, without engines: accounts, keys, projects, variables, records of deployments. Published as the process's platform. */
export async function createTestApi(bootstrap: ServerEnv['bootstrap'] = null, options: { dnsServers?: string[] } = {}): Promise<TestApi> {
  const server = await createTestDatabase()
  const database = openDatabase(server.url, { poolSize: 5 })
  const { prisma } = database
  const home = await mkdtemp(path.join(tmpdir(), 'sy-api-'))
  const secrets = await openSecrets({ prisma, home })
  const boot = await firstBoot({ prisma, home, secrets, bootstrap, issueCode: true })
  const logger = pino({ level: 'silent' })
  const bus = createChangeBus({ url: server.url, pool: database.pool, logger })
  const edge = { scheme: 'http', port: 8080, baseDomain: 'localhost' } as const
  const builder = absent<Builder>('the builder')
  const tornDown: string[] = []
  const platform: Platform = {
    prisma,
    bus,
    settings: {
      baseDomain: 'localhost',
      edgeHttpPort: 8080,
      appUrlPattern: 'http://*.localhost:8080',
      port: 3000,
      runtime: 'process',
      version: 'test',
      cliPackage: '',
      authSecret: 'a secret of this test only',
      webhookBytes: 5 * 1024 * 1024,
    },
    accounts: createAccounts({ prisma, secrets }),
    projects: createProjects({ prisma, bus, secrets, builder, edge, teardown: async (projectId) => void tornDown.push(projectId) }),
    environments: createEnvironments({ prisma, bus, edge, routesChanged: async () => {} }),
    shareLinks: createShareLinks({ prisma, secrets, bus, edge, routesChanged: async () => {} }),
    variables: createVariables({ prisma, bus, secrets }),
    cache: createCacheControl({ prisma, talk: new LinkMessages() }),
    domains: createDomains({
      prisma,
      bus,
      baseDomain: 'localhost',
      reservedHosts: ['dashboard.example.net'],
      claimSecret: 'a secret of this test only',
      own: async () => ({ addresses: ['203.0.113.7', '2001:db8::7'], origin: 'configured', local: [] }),
      openDns: () => openDns({ servers: options.dnsServers ?? ['127.0.0.1:1'], deadlineMs: 1_000 }),
      ports: { http: 80, https: 443 },
      certificateAuthority: true,
      checks: null,
      routesChanged: async () => {},
    }),
    rules: createRules({ prisma, bus, outsideHosts: [], routesChanged: async () => {}, closedBy: async () => null }),
    certificates: createCertificates({ prisma, secrets, bus, routesChanged: async () => {} }),
    dnsProviders: createDnsProviders({ prisma, secrets }),
    forges: createForgeConnections({ prisma, secrets }),
    webhooks: createWebhooks({ prisma, secrets, settings: { concurrency: 4, deadlineSeconds: 5 } }),
    deployments: createDeployments({
      prisma,
      bus,
      storage: createLocalStore(path.join(home, 'storage')),
      builder,
      disk: { refuseWhenTight: async () => {} },
      edge,
      secrets,
    }),
    gitEvents: createGitEvents(
      gitEventDeps({ ...database, bus, secrets, builder, logger, dashboardUrl: 'http://localhost:3000', routesChanged: async () => {} }),
    ),
    instances: createInstances({ prisma, runtime: absent<Runtime>('the runtime'), bus }),
    traffic: createTraffic({ prisma, pool: database.pool, bus, edge: null }),
    apiKeys: createApiKeys({ prisma, secrets }),
    idempotency: createIdempotency({ prisma, secrets, keepHours: 24 }),
    requestLimits: createRequestLimits({ perCaller: 0, refusedPerAddress: 0, perWebhook: 0, perDeployHook: 0 }),
    team: createTeam({ prisma }),
    async *changes(actor, signal) {
      for await (const change of bus.listen((c) => c.teamId === actor.teamId, signal))
        if (change && isForDashboards(change)) yield { kind: change.kind, id: change.id, projectId: change.projectId }
    },
    storage: async () => ({ disks: [], usage: [], limits: [], freed: [] }),
    diskProblem: () => null,
    health: async () => ({ ready: true, installation: 'test', weakness: null, checks: { database: { ok: true, detail: 'secret detail' } } }),
    accessChanges: (actorId, signal) => accessChanges(bus, actorId, signal),
  }
  publishPlatform(platform)
  const addKey: TestApi['addKey'] = async (teamId, role, options = {}) => {
    const key = newApiKey()
    const data = {
      id: newId(),
      teamId,
      name: role,
      prefix: prefixOf(key),
      hash: hashApiKey(secrets, key),
      operator: options.operator ?? false,
      expiresAt: options.expiresAt ?? null,
    }
    await prisma.apiKey.create({ data: { ...data, role: role.toUpperCase() as Uppercase<Role> } })
    return key
  }
  return {
    database,
    secrets,
    bus,
    home,
    boot,
    platform,
    tornDown,
    async addTeam(name) {
      const id = newId()
      await prisma.team.create({ data: { id, name, slug: `${name}-${id}`, dataKey: secrets.createDataKey(id) } })
      return id
    },
    addKey,
    async actorOf(teamId, role, options) {
      const actor = await platform.accounts.actorOfApiKey(await addKey(teamId, role, options))
      if (!actor) throw new Error(`the key of ${role} is nobody's`)
      return actor
    },
    async close() {
      await bus.close()
      await database.close()
      await server.drop()
      await rm(home, { recursive: true, force: true })
    },
  }
}
