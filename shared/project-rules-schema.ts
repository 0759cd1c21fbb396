import { z } from 'zod'
import { defaultProjectRules, type HeaderRule, type ProjectRules, type RateLimitRule, type RedirectRule, type RewriteRule } from './project-rules'

/** Maximum characters of a redirect's or rewrite's destination. */
export const maxDestinationLength = 4096

/** Requires a schema for each field of `R`: zod silently drops fields that have none. */
type Fields<R> = Record<keyof R, z.ZodType>

const condition = z.object({
  type: z.enum(['header', 'cookie', 'query', 'host']),
  key: z.string().max(256).optional(),
  value: z.string().max(2048).optional(),
})
const match = { source: z.string().min(1).max(2048), has: z.array(condition).max(16).optional(), missing: z.array(condition).max(16).optional() }

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const links = z
  .array(z.object({ digest, expiresAt: z.number().int().min(0) }))
  .max(200)
  .optional()
const protection = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('basic'), users: z.array(z.object({ name: z.string().max(256), hash: z.string().max(512) })).max(100), links }),
  z.object({ kind: z.literal('token'), digests: z.array(digest).max(100), links }),
])

export const redirectRuleSchema: z.ZodType<RedirectRule> = z.object({
  ...match,
  destination: z.string().max(maxDestinationLength),
  status: z.literal([301, 302, 303, 307, 308]),
  afterFiles: z.boolean().optional(),
} satisfies Fields<RedirectRule>)
export const rewriteRuleSchema: z.ZodType<RewriteRule> = z.object({
  ...match,
  destination: z.string().max(maxDestinationLength),
  beforeFiles: z.boolean().optional(),
} satisfies Fields<RewriteRule>)
export const headerRuleSchema: z.ZodType<HeaderRule> = z.object({
  ...match,
  headers: z.array(z.object({ key: z.string().max(256), value: z.string().max(8192) })).max(64),
} satisfies Fields<HeaderRule>)
export const rateLimitRuleSchema: z.ZodType<RateLimitRule> = z.object({
  ...match,
  requests: z.number().int().min(1).max(1_000_000),
  windowSeconds: z.number().int().min(1).max(86_400),
} satisfies Fields<RateLimitRule>)
const addresses = z.array(z.string().max(64)).max(1024)

/** Schema of each field without defaults, for partial rules. */
export const projectRulesFields = {
  redirects: z.array(redirectRuleSchema).max(2048),
  rewrites: z.array(rewriteRuleSchema).max(2048),
  headers: z.array(headerRuleSchema).max(2048),
  cleanUrls: z.boolean(),
  trailingSlash: z.boolean().nullable(),
  protection: protection.nullable(),
  allowedAddresses: addresses,
  rateLimits: z.array(rateLimitRuleSchema).max(128),
  maintenance: z.object({ message: z.string().max(2048).nullable(), allowedAddresses: addresses }).nullable(),
  errorPages: z.record(z.string().regex(/^([45]\d\d|4xx|5xx)$/), z.string().startsWith('/').max(2048)),
  compression: z.boolean(),
  cache: z.boolean(),
  balance: z.enum(['least-loaded', 'round-robin']),
  sticky: z.boolean(),
  maxRequestsPerTarget: z.number().int().min(1).nullable(),
  queueTimeoutMs: z.number().int().min(0).max(600_000),
  maxBodyBytes: z.number().int().min(0).nullable(),
  answerTimeoutMs: z.number().int().min(1_000).max(86_400_000).nullable(),
} satisfies { [K in keyof ProjectRules]: z.ZodType<ProjectRules[K]> }

const d = defaultProjectRules
const f = projectRulesFields
/** Schema of complete rules; missing fields get the defaults, so that a router can load a table that an older version saved. */
export const projectRulesSchema: z.ZodType<ProjectRules> = z.object({
  redirects: f.redirects.default(d.redirects),
  rewrites: f.rewrites.default(d.rewrites),
  headers: f.headers.default(d.headers),
  cleanUrls: f.cleanUrls.default(d.cleanUrls),
  trailingSlash: f.trailingSlash.default(d.trailingSlash),
  protection: f.protection.default(d.protection),
  allowedAddresses: f.allowedAddresses.default(d.allowedAddresses),
  rateLimits: f.rateLimits.default(d.rateLimits),
  maintenance: f.maintenance.default(d.maintenance),
  errorPages: f.errorPages.default(d.errorPages),
  compression: f.compression.default(d.compression),
  cache: f.cache.default(d.cache),
  balance: f.balance.default(d.balance),
  sticky: f.sticky.default(d.sticky),
  maxRequestsPerTarget: f.maxRequestsPerTarget.default(d.maxRequestsPerTarget),
  queueTimeoutMs: f.queueTimeoutMs.default(d.queueTimeoutMs),
  maxBodyBytes: f.maxBodyBytes.default(d.maxBodyBytes),
  answerTimeoutMs: f.answerTimeoutMs.default(d.answerTimeoutMs),
})
