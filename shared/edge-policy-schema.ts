import { z } from 'zod'
import { defaultEdgePolicy, type EdgePolicy } from './edge-policy'

const condition = z.object({
  type: z.enum(['header', 'cookie', 'query', 'host']),
  key: z.string().max(256).optional(),
  value: z.string().max(2048).optional(),
})
const match = { source: z.string().min(1).max(2048), has: z.array(condition).max(16).optional(), missing: z.array(condition).max(16).optional() }

const protection = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('basic'), users: z.array(z.object({ name: z.string().max(256), hash: z.string().max(512) })).max(100) }),
  z.object({ kind: z.literal('token'), digests: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(100) }),
])

const d = defaultEdgePolicy
/** A policy from outside; what it does not say is as in `defaultEdgePolicy`, so that tables of an older version stay readable. */
export const edgePolicySchema: z.ZodType<EdgePolicy> = z.object({
  redirects: z
    .array(
      z.object({ ...match, destination: z.string().max(4096), status: z.literal([301, 302, 303, 307, 308]), afterFiles: z.boolean().optional() }),
    )
    .max(2048)
    .default(d.redirects),
  rewrites: z
    .array(z.object({ ...match, destination: z.string().max(4096), beforeFiles: z.boolean().optional() }))
    .max(2048)
    .default(d.rewrites),
  headers: z
    .array(z.object({ ...match, headers: z.array(z.object({ key: z.string().max(256), value: z.string().max(8192) })).max(64) }))
    .max(2048)
    .default(d.headers),
  cleanUrls: z.boolean().default(d.cleanUrls),
  trailingSlash: z.boolean().nullable().default(d.trailingSlash),
  protection: protection.nullable().default(d.protection),
  allowedAddresses: z.array(z.string().max(64)).max(1024).default(d.allowedAddresses),
  rateLimits: z
    .array(z.object({ ...match, requests: z.number().int().min(1), windowSeconds: z.number().int().min(1).max(86_400) }))
    .max(64)
    .default(d.rateLimits),
  maintenance: z
    .object({ message: z.string().max(2048).nullable(), allowedAddresses: z.array(z.string().max(64)).max(1024) })
    .nullable()
    .default(d.maintenance),
  errorPages: z.record(z.string().regex(/^([45]\d\d|4xx|5xx)$/), z.string().startsWith('/').max(2048)).default(d.errorPages),
  compression: z.boolean().default(d.compression),
  cache: z.boolean().default(d.cache),
  balance: z.enum(['least-loaded', 'round-robin']).default(d.balance),
  sticky: z.boolean().default(d.sticky),
  maxRequestsPerTarget: z.number().int().min(1).nullable().default(d.maxRequestsPerTarget),
  queueTimeoutMs: z.number().int().min(0).max(600_000).default(d.queueTimeoutMs),
  maxBodyBytes: z.number().int().min(0).nullable().default(d.maxBodyBytes),
})
