/**
 * Rules of a project as data: read from its files (`switchyard.json`, `vercel.json`, `_redirects`, `_headers`) and from the dashboard, sent
 * to the routers in the route table, compiled by each router.
 */

/** A condition on the request, as in vercel.json: every `has` must match and no `missing` may match. `value` is an anchored regular expression. */
export interface RuleCondition {
  type: 'header' | 'cookie' | 'query' | 'host'
  key?: string
  value?: string
}

interface RuleMatch {
  /** path-to-regexp pattern on the decoded path, beginning with `/`: `/blog/:slug*`. */
  source: string
  has?: RuleCondition[]
  missing?: RuleCondition[]
}

export interface RedirectRule extends RuleMatch {
  /** Path or absolute URL; `:name` is replaced by the matched parameter. */
  destination: string
  status: 301 | 302 | 303 | 307 | 308
  /** True: applies only if no static file exists at the path (`_redirects` without `!`). */
  afterFiles?: boolean
}

export interface RewriteRule extends RuleMatch {
  /** Path, `project:<slug>/path` of the same team (in a route table: `project:<hostname>/path`), or an absolute URL whose host an operator allowed. */
  destination: string
  /** False: applies only if no static file exists at the path. */
  beforeFiles?: boolean
}

export interface HeaderRule extends RuleMatch {
  headers: { key: string; value: string }[]
}

export interface RateLimitRule extends RuleMatch {
  requests: number
  windowSeconds: number
}

/** Query parameter by which a visitor sends a token; the router turns it into a cookie. */
export const accessParameter = 'switchyard_token'

/** A token of a share link. Routers refuse it from `expiresAt` (ms since 1970) on, without a new route table. */
export interface ShareLinkDigest {
  /** SHA-256 in hex. */
  digest: string
  expiresAt: number
}

export type Protection =
  /** `hash`: scrypt as `scrypt$N$r$p$salt$hash` in base64url. User names are case-sensitive. */
  (
    | { kind: 'basic'; users: { name: string; hash: string }[] }
    /**
     * SHA-256 hex digests of tokens. Visitors send a token in `Authorization: Bearer`, the cookie `switchyard_access` or the query parameter
     * `switchyard_token`.
     */
    | { kind: 'token'; digests: string[] }
  ) & {
    /** Share links of the environment: each opens it as a token does, whatever the kind. Only in route tables. */
    links?: ShareLinkDigest[]
  }

export interface ProjectRules {
  redirects: RedirectRule[]
  rewrites: RewriteRule[]
  headers: HeaderRule[]
  /** Redirects `/about.html` to `/about`. */
  cleanUrls: boolean
  /** Whether paths end with a slash; the other spelling is redirected. null: both are served. */
  trailingSlash: boolean | null
  protection: Protection | null
  /** Addresses or CIDR ranges that have access; empty: everybody. */
  allowedAddresses: string[]
  rateLimits: RateLimitRule[]
  maintenance: { message: string | null; allowedAddresses: string[] } | null
  /** Status ("404", "5xx") → path of the page that replaces the router's error page. */
  errorPages: Record<string, string>
  /** Compresses responses of compressible types. */
  compression: boolean
  /** Caches responses that allow shared caching (RFC 9111). */
  cache: boolean
  balance: 'least-loaded' | 'round-robin'
  /** Sends all requests of a visitor to the same instance. */
  sticky: boolean
  /** Maximum concurrent requests to an instance; more requests wait in a queue. null: no limit. */
  maxRequestsPerTarget: number | null
  queueTimeoutMs: number
  /** Maximum bytes of a request body; null: no limit. */
  maxBodyBytes: number | null
  /** Maximum silence of an instance before or within its response, except event streams; null: `EDGE_UPSTREAM_TIMEOUT_MS` of the router. */
  answerTimeoutMs: number | null
}

export const defaultProjectRules: ProjectRules = {
  redirects: [],
  rewrites: [],
  headers: [],
  cleanUrls: false,
  trailingSlash: null,
  protection: null,
  allowedAddresses: [],
  rateLimits: [],
  maintenance: null,
  errorPages: {},
  compression: true,
  cache: true,
  balance: 'least-loaded',
  sticky: false,
  maxRequestsPerTarget: null,
  queueTimeoutMs: 10_000,
  maxBodyBytes: null,
  answerTimeoutMs: null,
}
