import { AsyncLocalStorage } from 'node:async_hooks'
import { readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { createSecureContext, rootCertificates } from 'node:tls'
import * as acme from 'acme-client'
import type { Authority } from './authorities'
import { AcmeProblem, AuthoritySilent } from './problems'

/**
 * The ACME client of the library (RFC 8555), with additions: deadline and cancellation per request, typed problems, a private CA's root,
 * and more retries after bad nonces. The library has one HTTP client per process, so the context of a call is stored in AsyncLocalStorage.
 */

interface CallContext {
  agent: Agent
  /** Directory URL of the CA, if this call may request it. */
  directory: string | null
  timeoutMs: number
  signal: AbortSignal
  /** The last response was `badNonce`, after the library's own retries. */
  badNonce: boolean
  /** A request that contains a name was sent. Requests for nonces and directories contain none. */
  sent: boolean
}
const context = new AsyncLocalStorage<CallContext>()

/** Our attempts, each with the library's six: at 50 % bad nonces about one call in 10^9 fails. */
const nonceRounds = 5

interface AcmeResponse {
  status: number
  headers: Record<string, unknown>
  data: unknown
}

/** CA rate limits reset within a week: a longer Retry-After is a mistake, and may exceed the range of dates. */
const maxRetryAfterMs = 8 * 24 * 3_600_000

function retryAfter(headers: Record<string, unknown>, now = Date.now()): number | null {
  const raw = headers['retry-after']
  if (typeof raw !== 'string' || raw === '') return null
  const ms = /^\d+$/.test(raw) ? Number(raw) * 1000 : Date.parse(raw) - now
  return ms > 0 ? Math.min(ms, maxRetryAfterMs) : null
}

let installed = false
/**
 * Installs our interceptors once per process and removes the library's own (the first of each kind): their retries wait for minutes without
 * a deadline, and without retries they turn a lost connection into a TypeError.
 */
function install(): void {
  if (installed) return
  installed = true
  acme.axios.interceptors.request.eject(0)
  acme.axios.interceptors.response.eject(0)
  acme.axios.interceptors.request.use((config) => {
    const call = context.getStore()
    if (!call) return config
    if (config.method === 'post') call.sent = true
    // Node closes the connection after HEAD, which would cost a handshake per nonce; GET works as well (RFC 8555 §7.2).
    if (config.method === 'head') config.method = 'get'
    // Larger responses are not ACME.
    return Object.assign(config, {
      httpsAgent: call.agent,
      // The library's timeout covers silence only: a CA that sends a byte now and then could block an order slot forever.
      timeout: call.timeoutMs,
      signal: AbortSignal.any([call.signal, AbortSignal.timeout(call.timeoutMs)]),
      maxContentLength: 1024 * 1024,
      maxRedirects: 0,
    })
  })
  acme.axios.interceptors.response.use((response) => {
    const call = context.getStore()
    const { status, headers, data } = response as unknown as AcmeResponse
    if (!call) return response
    call.badNonce = false
    // Validate before the library caches the directory for a day: a maintenance page with status 200 would outlast the maintenance.
    if (status < 400 && call.directory !== null && response.config.url === call.directory) requireDirectory(call.directory, data)
    if (status < 400) return response
    const problem = typeof data === 'object' && data !== null ? (data as { type?: string; detail?: string }) : {}
    if (problem.type === 'urn:ietf:params:acme:error:badNonce') {
      call.badNonce = true
      return response
    }
    throw new AcmeProblem({ ...problem, status, retryAfterMs: retryAfter(headers) })
  })
}

export interface AcmeDirectory {
  newOrder: string
  /** RFC 9773; absent: the CA has no renewal information. */
  renewalInfo?: string
}

/** @throws AcmeProblem */
function requireDirectory(url: string, data: unknown): AcmeDirectory {
  const named = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>
  if (!['newNonce', 'newAccount', 'newOrder'].every((name) => typeof named[name] === 'string'))
    throw new AcmeProblem({ status: 502, detail: `${url} is not an ACME directory` })
  return data as AcmeDirectory
}

export interface AcmeTransport {
  /** @throws AcmeProblem, or the network error */
  directory(url: string, signal: AbortSignal): Promise<AcmeDirectory>
  /** GET of a JSON resource that needs no account. */
  get(url: string, signal: AbortSignal): Promise<{ data: unknown; retryAfterMs: number | null }>
  client(authority: Authority, account: { keyPem: string; url: string | null }): AcmeClient
  close(): void
}

export interface AcmeClient {
  /** Runs calls of the library with deadline, cancellation, typed problems, and retries after bad nonces. Calls must be safe to repeat. */
  run<T>(signal: AbortSignal, work: (client: acme.Client) => Promise<T>): Promise<T>
}

/** Creates the HTTP transport for requests to CAs. `caFile`: a PEM file trusted in addition to the usual roots. */
export async function createAcmeTransport(options: { caFile: string | null; timeoutMs?: number }): Promise<AcmeTransport> {
  install()
  const own = options.caFile ? await readFile(options.caFile, 'utf8') : null
  // One context for all connections: parsing about 150 root certificates costs more than the request.
  const secureContext = createSecureContext(own ? { ca: [...rootCertificates, own] } : {})
  const agent = new Agent({ keepAlive: true, maxSockets: 32, secureContext })
  const timeoutMs = options.timeoutMs ?? 20_000
  const run = <T>(signal: AbortSignal, work: () => Promise<T>, directory: string | null = null): Promise<T> =>
    context.run({ agent, directory, timeoutMs, signal, badNonce: false, sent: false }, () => withNonceRetries(work))
  const get: AcmeTransport['get'] = (url, signal) =>
    run(signal, async () => {
      const response = (await acme.axios.get(url, { validateStatus: () => true })) as unknown as AcmeResponse
      return { data: response.data, retryAfterMs: retryAfter(response.headers) }
    })
  return {
    get,
    async directory(url, signal) {
      return requireDirectory(url, (await get(url, signal)).data)
    },
    client(authority, account) {
      const client = new acme.Client({
        directoryUrl: authority.directory,
        accountKey: account.keyPem,
        ...(account.url ? { accountUrl: account.url } : {}),
        ...(authority.binding ? { externalAccountBinding: { kid: authority.binding.keyId, hmacKey: authority.binding.hmacKey } } : {}),
      })
      return { run: (signal, work) => run(signal, () => work(client), authority.directory) }
    },
    close: () => agent.destroy(),
  }
}

async function withNonceRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    try {
      return await work()
    } catch (error) {
      const call = context.getStore()
      if (error instanceof AcmeProblem) throw error
      if (!call?.badNonce) throw new AuthoritySilent(error, call?.sent ?? true)
      if (round === nonceRounds || call.signal.aborted) throw new AcmeProblem({ type: 'badNonce', status: 400, detail: 'the CA refuses our nonces' })
      call.badNonce = false
    }
  }
}
