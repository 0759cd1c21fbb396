import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Security headers of the dashboard and its API, set before Next answers: no page, error or file is without them. */

const always: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  // Browsers that know no frame-ancestors.
  'x-frame-options': 'DENY',
  'referrer-policy': 'strict-origin-when-cross-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}
/** Without includeSubDomains: hosts below the dashboard's may be apps that speak HTTP alone. */
const strictTransport = 'max-age=31536000'

/** Nothing of the API is a document. */
const apiPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

function pagePolicy(nonce: string, dev: boolean): string {
  const script = `script-src 'nonce-${nonce}' 'strict-dynamic'${dev ? " 'unsafe-eval'" : ''}`
  return [
    "default-src 'self'",
    script,
    // Libraries of the page set styles by attribute and by element; neither runs code.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    dev ? "connect-src 'self' ws: wss:" : "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-src 'none'",
    // Tenants' apps run on sibling hosts: none of them may show the dashboard in a frame.
    "frame-ancestors 'none'",
  ].join('; ')
}

/** Sets them on the answer, and gives Next the nonce of its scripts by the request's own headers. Call once the scheme is known. */
export function setSecurityHeaders(request: IncomingMessage, response: ServerResponse, dev: boolean): void {
  for (const [name, value] of Object.entries(always)) response.setHeader(name, value)
  const { headers } = request
  if (headers['x-forwarded-proto'] === 'https') response.setHeader('strict-transport-security', strictTransport)
  const nonce = randomBytes(16).toString('base64')
  const policy = request.url?.startsWith('/api/') ? apiPolicy : pagePolicy(nonce, dev)
  // Next takes the nonce out of this header (app-render), the root layout out of the other.
  headers['content-security-policy'] = policy
  headers['x-nonce'] = nonce
  delete headers['content-security-policy-report-only']
  response.setHeader('content-security-policy', policy)
}
