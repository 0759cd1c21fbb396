/**
 * Lower-case names of fields that clients must not send to an instance: facts that only a proxy or CDN may state (client address, scheme,
 * host), and fields that bypass checks of common frameworks or select what they render. `Proxy` would become HTTP_PROXY for an app's own
 * requests (httpoxy, CVE-2016-5385).
 */
export const untrustedNames = [
  'forwarded',
  'x-real-ip',
  'x-request-id',
  'proxy',
  'http2-settings',
  'x-middleware-subrequest',
  'x-original-url',
  'x-rewrite-url',
  'x-matched-path',
  'x-now-route-matches',
  'x-invoke-path',
  'x-invoke-query',
  'x-invoke-output',
  'x-invoke-status',
  'x-invoke-error',
  'x-forwarded',
  'forwarded-for',
  'true-client-ip',
  'client-ip',
  'x-client-ip',
  'x-client-real-ip',
  'x-cluster-client-ip',
  'x-originating-ip',
  'x-original-forwarded-for',
  'x-proxyuser-ip',
  'x-remote-ip',
  'x-remote-addr',
  'remote-addr',
  'proxy-client-ip',
  'wl-proxy-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'cf-visitor',
  'cf-ipcountry',
  'fastly-client-ip',
  'fastly-ssl',
  'fly-client-ip',
  'fly-forwarded-proto',
  'do-connecting-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-appengine-user-ip',
  'x-nf-client-connection-ip',
  'x-vercel-forwarded-for',
  'x-vercel-proxied-for',
  'cloudfront-viewer-address',
  'cloudfront-forwarded-proto',
  'front-end-https',
  'x-scheme',
  'x-url-scheme',
  'x-proto',
  'x-ssl',
  'x-arr-ssl',
  'x-host',
  'x-original-host',
  'x-real-host',
  'x-real-scheme',
  'x-real-port',
] as const
export const untrustedPrefixes = ['x-forwarded-', 'x-switchyard-'] as const

/**
 * Many servers map both `X_Real_IP` and `X-Real-IP` to `HTTP_X_REAL_IP` (CGI likewise for CONTENT_LENGTH): drop names with underscores that
 * collide with names the router sets or uses (nginx drops all names with underscores).
 */
const framingAlike = new Set(['content-length', 'transfer-encoding'])
const names: ReadonlySet<string> = new Set(untrustedNames)

/** Whether only the router may send a header or trailer of this name (lower case). */
export function isUntrusted(name: string): boolean {
  const underscored = name.includes('_')
  const dashed = underscored ? name.replaceAll('_', '-') : name
  if (names.has(dashed) || (underscored && framingAlike.has(dashed))) return true
  for (const prefix of untrustedPrefixes) if (dashed.startsWith(prefix)) return true
  return false
}
