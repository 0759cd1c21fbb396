import { homedir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from '@/shared/errors'
import { defaultMaxHeaderBytes } from '@/shared/header-limits'
import { trustedProxiesSetting } from '@/shared/node/trusted-proxies'

const whole = (fallback: number, min: number, max: number) => z.coerce.number().int().min(min).max(max).default(fallback)
const milliseconds = (fallback: number) => whole(fallback, 1, 86_400_000)

const schema = z.object({
  SWITCHYARD_HOME: z.string().min(1).refine(path.isAbsolute, 'must be an absolute path').optional(),
  EDGE_HTTP_PORT: whole(8080, 0, 65_535),
  /** 0: HTTPS is off. */
  EDGE_HTTPS_PORT: whole(8443, 0, 65_535),
  /** Clients then state their own address: only for ports that nothing but the balancer can reach. */
  EDGE_PROXY_PROTOCOL: z.stringbool().default(false),
  TRUSTED_PROXIES: trustedProxiesSetting,
  EDGE_HOST: z.union([z.ipv4(), z.ipv6()]).default('::'),
  EDGE_ENGINE: z.enum(['lean', 'http-proxy']).default('lean'),
  ROUTER_WORKER_ID: whole(0, 0, 4095),
  EDGE_WORKERS: whole(1, 1, 256),
  /** What `$SWITCHYARD_HOME/log/access-<worker>.log` holds: the sampled lines of the dashboard, every request, or nothing. */
  EDGE_ACCESS_LOG: z.enum(['sampled', 'all', 'off']).default('sampled'),
  EDGE_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
  EDGE_DRAIN_TIMEOUT_MS: milliseconds(30_000),
  EDGE_CONNECT_TIMEOUT_MS: milliseconds(5_000),
  EDGE_UPSTREAM_TIMEOUT_MS: milliseconds(120_000),
  EDGE_UPSTREAM_IDLE_MS: milliseconds(4_000),
  EDGE_CLIENT_HEAD_TIMEOUT_MS: milliseconds(15_000),
  EDGE_CLIENT_IDLE_TIMEOUT_MS: milliseconds(60_000),
  EDGE_KEEP_ALIVE_MS: milliseconds(75_000),
  EDGE_MAX_HEADER_BYTES: whole(defaultMaxHeaderBytes, 1024, 1_048_576),
  EDGE_MAX_HEADERS: whole(128, 8, 4096),
})

/** Bounds of the data path; every engine honours all of them. */
export interface EngineLimits {
  /** Bytes of a request head; more is 431. */
  maxHeaderBytes: number
  /** Header lines of a request; more is 431. */
  maxHeaders: number
  /** From the first byte of a head to its last; more is 408. */
  clientHeadTimeoutMs: number
  /** Silence of a client that still owes body bytes, or does not read its answer. */
  clientIdleTimeoutMs: number
  /** How long an idle client connection is kept. */
  keepAliveMs: number
  connectTimeoutMs: number
  /** Silence of an upstream, before and within its answer. */
  upstreamTimeoutMs: number
  /** How long an idle upstream connection is kept: below the 5 s after which most servers close theirs. */
  upstreamIdleMs: number
  /** How long the rest of a request is read (and dropped) after it was answered, so that the client can read the answer. */
  lingerMs: number
}

export interface RouterEnv {
  home: string
  runDirectory: string
  controlSocket: string
  host: string
  httpPort: number
  /** null: HTTPS is off. */
  httpsPort: number | null
  proxyProtocol: boolean
  /** Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. */
  trustedProxies: string[]
  engine: 'lean' | 'http-proxy'
  workerId: number
  /** Workers there are, this one included. */
  workers: number
  accessLog: 'sampled' | 'all' | 'off'
  logLevel: string
  drainTimeoutMs: number
  limits: EngineLimits
}

/**
 * Parses the environment of a router worker; unset and empty mean the default.
 * @throws AppError ERR_INVALID_INPUT that lists every problem at once.
 */
export function parseRouterEnv(source: Record<string, string | undefined>, isRoot: boolean): RouterEnv {
  const known = Object.fromEntries(Object.keys(schema.shape).flatMap((name) => (source[name] ? [[name, source[name]]] : [])))
  const parsed = schema.safeParse(known)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new AppError('ERR_INVALID_INPUT', `the router cannot start, ${problems.length} setting(s) are wrong:\n${problems.join('\n')}`, {
      nextAction: 'Correct these environment variables and start again.',
    })
  }
  const env = parsed.data
  const home = env.SWITCHYARD_HOME ?? (isRoot ? '/var/lib/switchyard' : path.join(homedir(), '.switchyard'))
  const runDirectory = path.join(home, 'run')
  return {
    home,
    runDirectory,
    controlSocket: path.join(runDirectory, 'edge.sock'),
    host: env.EDGE_HOST,
    httpPort: env.EDGE_HTTP_PORT,
    httpsPort: env.EDGE_HTTPS_PORT || null,
    proxyProtocol: env.EDGE_PROXY_PROTOCOL,
    trustedProxies: env.TRUSTED_PROXIES,
    engine: env.EDGE_ENGINE,
    workerId: env.ROUTER_WORKER_ID,
    workers: env.EDGE_WORKERS,
    accessLog: env.EDGE_ACCESS_LOG,
    logLevel: env.EDGE_LOG_LEVEL,
    drainTimeoutMs: env.EDGE_DRAIN_TIMEOUT_MS,
    limits: {
      maxHeaderBytes: env.EDGE_MAX_HEADER_BYTES,
      maxHeaders: env.EDGE_MAX_HEADERS,
      clientHeadTimeoutMs: env.EDGE_CLIENT_HEAD_TIMEOUT_MS,
      clientIdleTimeoutMs: env.EDGE_CLIENT_IDLE_TIMEOUT_MS,
      keepAliveMs: env.EDGE_KEEP_ALIVE_MS,
      connectTimeoutMs: env.EDGE_CONNECT_TIMEOUT_MS,
      upstreamTimeoutMs: env.EDGE_UPSTREAM_TIMEOUT_MS,
      upstreamIdleMs: env.EDGE_UPSTREAM_IDLE_MS,
      lingerMs: 5_000,
    },
  }
}

/** The environment of this very process: the only place in the room that reads it. */
export function readRouterEnv(): RouterEnv {
  return parseRouterEnv(process.env, process.getuid?.() === 0)
}
