import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Security headers of the dashboard and its API. Set before Next responds, so that pages, errors and files have them. */

const always: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  // For browsers without frame-ancestors.
  'x-frame-options': 'DENY',
  'referrer-policy': 'strict-origin-when-cross-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}
/** Without includeSubDomains: hosts below the dashboard's host may be apps that support only HTTP. */
const strictTransport = 'max-age=31536000'

/** The API returns no documents. */
const apiPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

function pagePolicy(nonce: string, dev: boolean): string {
  const script = `script-src 'nonce-${nonce}' 'strict-dynamic'${dev ? " 'unsafe-eval'" : ''}`
  return [
    "default-src 'self'",
    script,
    // Libraries of the page set styles by attribute and by element; styles cannot run code.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    dev ? "connect-src 'self' ws: wss:" : "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-src 'none'",
    // Apps of tenants run on sibling hosts and must not embed the dashboard in a frame.
    "frame-ancestors 'none'",
  ].join('; ')
}

/** Sets the headers on the response, and passes the nonce for scripts to Next in request headers. Call after the scheme is known. */
export function setSecurityHeaders(request: IncomingMessage, response: ServerResponse, dev: boolean): void {
  for (const [name, value] of Object.entries(always)) response.setHeader(name, value)
  const { headers } = request
  if (headers['x-forwarded-proto'] === 'https') response.setHeader('strict-transport-security', strictTransport)
  const nonce = randomBytes(16).toString('base64')
  const policy = request.url?.startsWith('/api/') ? apiPolicy : pagePolicy(nonce, dev)
  // Next reads the nonce from this header (app-render), the root layout from the other one.
  headers['content-security-policy'] = policy
  headers['x-nonce'] = nonce
  delete headers['content-security-policy-report-only']
  response.setHeader('content-security-policy', policy)
}
