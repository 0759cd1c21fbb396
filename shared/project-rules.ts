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

export type Protection =
  /** `hash` is scrypt, `scrypt$N$r$p$salt$hash` in base64url; the name is compared as it is. */
  | { kind: 'basic'; users: { name: string; hash: string }[] }
  /** SHA-256 hex digests of tokens: in `Authorization: Bearer`, the cookie `switchyard_access`, or the query `switchyard_token`. */
  | { kind: 'token'; digests: string[] }

export interface ProjectRules {
  redirects: RedirectRule[]
  rewrites: RewriteRule[]
  headers: HeaderRule[]
  /** `/about.html` → `/about`. */
  cleanUrls: boolean
  /** null: both spellings are served as they are. */
  trailingSlash: boolean | null
  protection: Protection | null
  /** CIDR; empty: everyone. */
  allowedAddresses: string[]
  rateLimits: RateLimitRule[]
  maintenance: { message: string | null; allowedAddresses: string[] } | null
  /** Status ("404", "5xx") → path on the app whose body is shown instead of our page. */
  errorPages: Record<string, string>
  /** On-the-fly compression of what is worth it. */
  compression: boolean
  /** RFC 9111: answers that say they may be shared are kept. */
  cache: boolean
  balance: 'least-loaded' | 'round-robin'
  /** Visitors stay with the instance they met. */
  sticky: boolean
  /** Requests at once towards one instance; more wait in a queue. null: no limit. */
  maxRequestsPerTarget: number | null
  queueTimeoutMs: number
  /** Bytes of a request body; null: no limit. */
  maxBodyBytes: number | null
  /** Silence of an instance before or within its answer, event streams excepted; null: the router's `EDGE_UPSTREAM_TIMEOUT_MS`. */
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
