import { availableParallelism, homedir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from '@/shared/errors'
import { defaultMaxHeaderBytes } from '@/shared/header-limits'
import { parseReach, type Reach } from '@/shared/node/reach'
import { trustedProxiesSetting } from '@/shared/node/trusted-proxies'
import { type Authorities, acmeSettings, acmeVariables, checkAcmeVariables } from './certificates/authorities'
import { checkOwnHostsVariables, type OwnHostsFiles, ownHostsFiles, ownHostsVariables } from './certificates/own-hosts'
import type { DiskLimits } from './disk/disk'
import { type DomainSettings, domainSettings, domainVariables } from './domains/settings'
import type { RequestLimitSettings } from './request-limits/request-limits'
import type { WebhookSettings } from './webhooks/deliverer'

/** Settings from environment variables, parsed once. No other file of the control plane reads `process.env`. */
export interface ServerEnv {
  /** Absolute path of $SWITCHYARD_HOME: all data of the platform on disk is below it. */
  home: string
  port: number
  edgeHttpPort: number
  edgeHttpsPort: number
  baseDomain: string
  runtime: 'auto' | 'docker' | 'process'
  /** null: the embedded Postgres. */
  databaseUrl: string | null
  /** Path of the container engine's unix socket. */
  dockerSocket: string
  /** Limits of disk usage. */
  disk: DiskLimits
  /** Build Dockerfiles even when the engine can neither limit their resources nor isolate them from this machine. */
  unconfinedDockerfiles: boolean
  /** First account for unattended installs; used only on an empty database. */
  bootstrap: { email: string; password: string; apiKey: string | null } | null
  /** null: the router's default. */
  edgeEngine: string | null
  edgeWorkers: number
  /** Largest request head (request line and header fields) that the routers forward, in bytes. */
  edgeMaxHeaderBytes: number
  /** Concurrent deployments (builds and starts); `startConcurrency`: apps that boot at the same time. */
  deployConcurrency: number
  startConcurrency: number
  /** Seconds without a heartbeat after which the supervisor replaces a control or router process; 0: never. */
  hangSeconds: number
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  /** Rate limits of the API. */
  requestLimits: RequestLimitSettings
  /** Largest body of a webhook of a Git host, in bytes. */
  webhookBytes: number
  /** Hours to keep responses to requests with an Idempotency-Key. */
  idempotencyHours: number
  /** NATS servers that get every event; null: none. */
  natsUrl: string | null
  /** Outgoing webhooks. */
  webhooks: WebhookSettings
  production: boolean
  /** Base URL of the dashboard without a trailing slash; null: derived from each request. */
  publicUrl: string | null
  /** Proxies in front of the dashboard and of the apps whose X-Forwarded-* headers are trusted. */
  trustedProxies: string[]
  extraCaCerts: string | null
  /** ACME certificate authorities. */
  acme: Authorities
  /** Certificate and key files for hosts below `baseDomain`. */
  ownHosts: OwnHostsFiles
  /** DNS settings and the public addresses and ports of this server. */
  domains: DomainSettings
  /** Private networks and ports on this machine that apps and builds may reach. */
  appReach: Reach[]
  /** Bytes an instance may write to /tmp and HOME (null: half of its memory limit); `appCacheBytes`: to its framework's cache. */
  appScratchBytes: number | null
  appCacheBytes: number
  /** External hosts that rewrites may proxy to. */
  rewriteHosts: string[]
  /** Proxy, registry and CA variables passed to builds, so that builds reach the network like this machine. */
  builderEnv: Record<string, string>
  /** Unparsed environment for router and control processes only: it may contain secrets. */
  inherited: Record<string, string>
}

/** Variables passed to builds, spelled as package managers read them. */
const passedToBuilds = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'npm_config_registry',
  'NODE_EXTRA_CA_CERTS',
]

const port = (preset: number) => z.coerce.number().int().min(0).max(65_535).default(preset)
const hostname = z
  .string()
  .toLowerCase()
  .regex(/^(?=.{1,200}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, 'must be a host name without scheme, port or trailing dot')
/** `private:` prefix: the name may resolve to a private address. */
const rewriteHost = /^(private:)?(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?)(:\d{1,5})?$/
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'must be a URL like postgresql://user:password@host:5432/database' })
const natsUrls = z
  .string()
  .refine(
    (text) => text.split(',').every((one) => /^(nats|tls):\/\/[^/?#]+$/.test(one.trim()) && URL.canParse(one.trim())),
    'must be URLs like nats://user:password@host:4222, separated by commas',
  )
const dockerHost = z.string().regex(/^(unix:\/\/)?\/.+/, 'only unix sockets are supported: unix:///var/run/docker.sock')

const gigabytes = (preset: number) => z.coerce.number().min(0).max(1_000_000).default(preset)
const requestsPerMinute = (preset: number) => z.coerce.number().int().min(0).max(10_000_000).default(preset)
const days = (preset: number) => z.coerce.number().int().min(1).max(36_500).default(preset)

const settings = z
  .object({
    SWITCHYARD_HOME: z.string().optional(),
    PORT: port(3000),
    EDGE_HTTP_PORT: port(8080),
    EDGE_HTTPS_PORT: port(8443),
    BASE_DOMAIN: hostname.default('localhost'),
    SWITCHYARD_RUNTIME: z.enum(['auto', 'docker', 'process']).default('auto'),
    DATABASE_URL: postgresUrl.optional(),
    DOCKER_HOST: dockerHost.default('unix:///var/run/docker.sock'),
    SWITCHYARD_BUILD_CACHE_GB: gigabytes(20),
    SWITCHYARD_BUILD_CACHE_DAYS: days(30),
    SWITCHYARD_ENGINE_CACHE_GB: gigabytes(10),
    SWITCHYARD_UPLOAD_DAYS: days(30),
    SWITCHYARD_RESERVE_MB: z.coerce.number().int().min(0).max(100_000).default(64),
    SWITCHYARD_UNCONFINED_DOCKERFILES: z.enum(['refuse', 'allow']).default('refuse'),
    SWITCHYARD_BOOTSTRAP_EMAIL: z.email().optional(),
    SWITCHYARD_BOOTSTRAP_PASSWORD: z.string().min(8, 'must have 8 characters or more').max(200).optional(),
    SWITCHYARD_BOOTSTRAP_API_KEY: z
      .string()
      .min(8, 'must have 8 characters or more')
      .max(200)
      .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without blanks')
      .optional(),
    EDGE_ENGINE: z
      .string()
      .regex(/^[a-z0-9-]+$/)
      .optional(),
    EDGE_MAX_HEADER_BYTES: z.coerce.number().int().min(1024).max(1_048_576).default(defaultMaxHeaderBytes),
    EDGE_WORKERS: z.coerce.number().int().min(1).max(256).optional(),
    DEPLOY_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(4),
    START_CONCURRENCY: z.coerce.number().int().min(1).max(256).default(8),
    SWITCHYARD_HANG_SECONDS: z.coerce.number().int().min(0).max(86_400).default(30),
    SWITCHYARD_API_REQUESTS_PER_MINUTE: requestsPerMinute(3000),
    SWITCHYARD_API_REFUSALS_PER_MINUTE: requestsPerMinute(300),
    SWITCHYARD_WEBHOOKS_PER_MINUTE: requestsPerMinute(6000),
    SWITCHYARD_DEPLOY_HOOKS_PER_MINUTE: requestsPerMinute(30),
    SWITCHYARD_WEBHOOK_MAX_MB: z.coerce.number().min(0.01).max(24).default(5),
    SWITCHYARD_IDEMPOTENCY_HOURS: z.coerce.number().int().min(1).max(8_760).default(24),
    NATS_URL: natsUrls.optional(),
    SWITCHYARD_WEBHOOK_CONCURRENCY: z.coerce.number().int().min(1).max(256).default(16),
    SWITCHYARD_WEBHOOK_SECONDS: z.coerce.number().int().min(1).max(300).default(15),
    LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    NODE_ENV: z.string().optional(),
    PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
    TRUSTED_PROXIES: trustedProxiesSetting,
    NODE_EXTRA_CA_CERTS: z.string().optional(),
    APP_REACH: z
      .string()
      .transform((text) =>
        text
          .split(',')
          .map((one) => one.trim())
          .filter(Boolean),
      )
      .pipe(
        z
          .array(
            z.string().refine((one) => parseReach(one) !== null, 'must be networks or ports like 10.0.0.0/8, 192.168.1.5:5432; never link-local'),
          )
          .max(200),
      )
      .default([]),
    APP_TMP_MB: z.coerce.number().int().min(1).max(1_048_576).optional(),
    APP_CACHE_MB: z.coerce.number().int().min(1).max(1_048_576).default(64),
    EDGE_REWRITE_HOSTS: z
      .string()
      .transform((text) =>
        text
          .split(',')
          .map((one) => one.trim().toLowerCase())
          .filter(Boolean),
      )
      .pipe(z.array(z.string().regex(rewriteHost, 'must be hosts like api.example.com, *.example.com or private:billing.internal:8080')).max(1000))
      .default([]),
    ...acmeVariables,
    ...ownHostsVariables,
    ...domainVariables,
  })
  .superRefine((value, context) => {
    if (Boolean(value.SWITCHYARD_BOOTSTRAP_EMAIL) !== Boolean(value.SWITCHYARD_BOOTSTRAP_PASSWORD))
      context.addIssue({
        code: 'custom',
        path: ['SWITCHYARD_BOOTSTRAP_EMAIL'],
        message: 'and SWITCHYARD_BOOTSTRAP_PASSWORD belong together: set both or none',
      })
    if (value.SWITCHYARD_BOOTSTRAP_API_KEY && !value.SWITCHYARD_BOOTSTRAP_EMAIL)
      context.addIssue({
        code: 'custom',
        path: ['SWITCHYARD_BOOTSTRAP_API_KEY'],
        message: 'needs SWITCHYARD_BOOTSTRAP_EMAIL and SWITCHYARD_BOOTSTRAP_PASSWORD too',
      })
    checkAcmeVariables(value, context)
    checkOwnHostsVariables(value, context)
    const ports = [value.PORT, value.EDGE_HTTP_PORT, value.EDGE_HTTPS_PORT].filter((p) => p !== 0)
    if (new Set(ports).size !== ports.length)
      context.addIssue({ code: 'custom', path: ['PORT'], message: 'EDGE_HTTP_PORT and EDGE_HTTPS_PORT must differ from each other' })
  })

const withoutEmpty = (source: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(source).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''))

/** The process environment without empty variables. */
export const givenEnvironment = (): Record<string, string> => withoutEmpty(process.env)

/** $SWITCHYARD_HOME as an absolute path; usable before the rest of the environment is parsed. */
export const homeOf = (source: { SWITCHYARD_HOME?: string | undefined }): string => path.resolve(source.SWITCHYARD_HOME || defaultHome())

function defaultHome(): string {
  return process.getuid?.() === 0 ? '/var/lib/switchyard' : path.join(homedir(), '.switchyard')
}

/**
 * Parses the environment of the process. An empty variable counts as unset.
 * @throws AppError ERR_INVALID_INPUT naming every problem at once, never a value (it may be a secret).
 */
export function readServerEnv(source: Record<string, string | undefined> = process.env): ServerEnv {
  const given = withoutEmpty(source)
  const parsed = settings.safeParse(given)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
    throw new AppError('ERR_INVALID_INPUT', `the environment is not usable:\n${problems.join('\n')}`, {
      nextAction: 'Correct these variables and start again.',
    })
  }
  const env = parsed.data
  const { SWITCHYARD_BOOTSTRAP_EMAIL: email, SWITCHYARD_BOOTSTRAP_PASSWORD: password } = env
  return {
    home: homeOf(env),
    port: env.PORT,
    edgeHttpPort: env.EDGE_HTTP_PORT,
    edgeHttpsPort: env.EDGE_HTTPS_PORT,
    baseDomain: env.BASE_DOMAIN,
    runtime: env.SWITCHYARD_RUNTIME,
    databaseUrl: env.DATABASE_URL ?? null,
    dockerSocket: env.DOCKER_HOST.replace(/^unix:\/\//, ''),
    disk: {
      buildCacheBytes: env.SWITCHYARD_BUILD_CACHE_GB * 1024 ** 3,
      buildCacheDays: env.SWITCHYARD_BUILD_CACHE_DAYS,
      engineCacheBytes: env.SWITCHYARD_ENGINE_CACHE_GB * 1024 ** 3,
      uploadDays: env.SWITCHYARD_UPLOAD_DAYS,
      reserveBytes: env.SWITCHYARD_RESERVE_MB * 1024 ** 2,
    },
    unconfinedDockerfiles: env.SWITCHYARD_UNCONFINED_DOCKERFILES === 'allow',
    bootstrap: email && password ? { email, password, apiKey: env.SWITCHYARD_BOOTSTRAP_API_KEY ?? null } : null,
    edgeEngine: env.EDGE_ENGINE ?? null,
    edgeMaxHeaderBytes: env.EDGE_MAX_HEADER_BYTES,
    edgeWorkers: env.EDGE_WORKERS ?? availableParallelism(),
    deployConcurrency: env.DEPLOY_CONCURRENCY,
    startConcurrency: env.START_CONCURRENCY,
    hangSeconds: env.SWITCHYARD_HANG_SECONDS,
    logLevel: env.LOG_LEVEL,
    requestLimits: {
      perCaller: env.SWITCHYARD_API_REQUESTS_PER_MINUTE,
      refusedPerAddress: env.SWITCHYARD_API_REFUSALS_PER_MINUTE,
      perWebhook: env.SWITCHYARD_WEBHOOKS_PER_MINUTE,
      perDeployHook: env.SWITCHYARD_DEPLOY_HOOKS_PER_MINUTE,
    },
    webhookBytes: Math.floor(env.SWITCHYARD_WEBHOOK_MAX_MB * 1024 * 1024),
    idempotencyHours: env.SWITCHYARD_IDEMPOTENCY_HOURS,
    natsUrl: env.NATS_URL ?? null,
    webhooks: { concurrency: env.SWITCHYARD_WEBHOOK_CONCURRENCY, deadlineSeconds: env.SWITCHYARD_WEBHOOK_SECONDS },
    production: env.NODE_ENV === 'production',
    publicUrl: env.PUBLIC_URL?.replace(/\/+$/, '') ?? null,
    trustedProxies: env.TRUSTED_PROXIES,
    extraCaCerts: env.NODE_EXTRA_CA_CERTS ?? null,
    acme: acmeSettings(env),
    ownHosts: ownHostsFiles(env),
    domains: domainSettings(env, { http: env.EDGE_HTTP_PORT, https: env.EDGE_HTTPS_PORT }),
    appReach: env.APP_REACH.map(parseReach).filter((one) => one !== null),
    appScratchBytes: env.APP_TMP_MB === undefined ? null : env.APP_TMP_MB * 1024 * 1024,
    appCacheBytes: env.APP_CACHE_MB * 1024 * 1024,
    rewriteHosts: env.EDGE_REWRITE_HOSTS,
    inherited: given,
    builderEnv: Object.fromEntries(passedToBuilds.flatMap((key) => (given[key] ? [[key, given[key]]] : []))),
  }
}
