import http from 'node:http'
import https from 'node:https'
import { reachOf } from '@/builder/source/address'

/** Result of a request to the domain at one of its addresses. */
export interface Visit {
  address: string
  /**
   * ours: our router returned the expected token. other: another server answered (`status`). tls: the port is open, but the TLS handshake
   * failed. forbidden: not tried, because the address is in a private network and not this server's.
   */
  kind: 'ours' | 'other' | 'tls' | 'refused' | 'timeout' | 'unreachable' | 'forbidden'
  status?: number
  /** The answer redirects to HTTPS on the same host; a CA follows such a redirect. */
  toHttps?: boolean
}

export interface VisitPlan {
  hostname: string
  path: string
  /** Expected body, known only to our router. */
  expected: string
  port: number
  scheme: 'http' | 'https'
  deadlineMs: number
  /** Addresses of this server: may be visited even if private. */
  own: readonly string[]
}

const maxBodyBytes = 4096
const tlsFaults = /^(EPROTO|ERR_SSL|ERR_TLS|ECONNRESET)/

/**
 * Requests the domain at exactly this address: the address is pinned, redirects are not followed, and only status and expected body are
 * read, because the server may belong to anyone.
 */
export function visit(address: string, plan: VisitPlan): Promise<Visit> {
  if (!plan.own.includes(address) && reachOf(address) !== 'public') return Promise.resolve({ address, kind: 'forbidden' })
  return new Promise((resolve) => {
    const { hostname, path, port, scheme, deadlineMs } = plan
    const done = (outcome: Omit<Visit, 'address'>) => {
      clearTimeout(timer)
      request.destroy()
      resolve({ address, ...outcome })
    }
    const options: https.RequestOptions = {
      host: address,
      port,
      path,
      method: 'GET',
      agent: false,
      setHost: false,
      headers: { host: hostname, 'user-agent': 'Switchyard domain check', connection: 'close' },
      // The certificate may be missing or outdated: the body proves which server answers.
      ...(scheme === 'https' ? { servername: hostname, rejectUnauthorized: false } : {}),
    }
    const request = (scheme === 'https' ? https : http).request(options)
    const timer = setTimeout(() => done({ kind: 'timeout' }), deadlineMs)
    request.on('response', (response) => readAnswer(response, plan, done))
    request.on('error', (error: NodeJS.ErrnoException) => done({ kind: kindOf(error, scheme) }))
    request.end()
  })
}

function readAnswer(response: http.IncomingMessage, plan: VisitPlan, done: (outcome: Omit<Visit, 'address'>) => void): void {
  const status = response.statusCode ?? 0
  let body = ''
  const finish = () => {
    if (status === 200 && body.trim() === plan.expected) return done({ kind: 'ours', status })
    const target = status >= 300 && status < 400 ? URL.parse(response.headers.location ?? '', `${plan.scheme}://${plan.hostname}/`) : null
    done({ kind: 'other', status, ...(target?.protocol === 'https:' && target.hostname === plan.hostname ? { toHttps: true } : {}) })
  }
  response.setEncoding('latin1')
  response.on('data', (chunk: string) => {
    body += chunk
    if (body.length > maxBodyBytes) finish()
  })
  response.on('end', finish)
  response.on('error', finish)
}

function kindOf(error: NodeJS.ErrnoException, scheme: 'http' | 'https'): Visit['kind'] {
  const code = error.code ?? ''
  if (code === 'ECONNREFUSED') return 'refused'
  if (code === 'ETIMEDOUT') return 'timeout'
  if (scheme === 'https' && tlsFaults.test(code)) return 'tls'
  return code === 'ECONNRESET' || code.startsWith('HPE_') ? 'other' : 'unreachable'
}
