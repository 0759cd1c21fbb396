import { AsyncLocalStorage } from 'node:async_hooks'
import { readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { createSecureContext, rootCertificates } from 'node:tls'
import * as acme from 'acme-client'
import type { Authority } from './authorities'
import { AcmeProblem, AuthoritySilent } from './problems'

/**
 * The ACME client of the library (RFC 8555), with what it leaves open: a deadline and a way to stop for each request, typed problems,
 * a private CA's root, and more patience with bad nonces. The library has one HTTP client for the process; the context of each call
 * travels beside it.
 */

interface CallContext {
  agent: Agent
  /** Of the CA that is asked, when its directory may be asked for on the way. */
  directory: string | null
  timeoutMs: number
  signal: AbortSignal
  /** The last answer was `badNonce`: the library has tried some times by then. */
  badNonce: boolean
  /** A request that names something has left this machine; nonces and directories name nothing. */
  sent: boolean
}
const context = new AsyncLocalStorage<CallContext>()

/** Of ours, each of the library's six: at 50 % bad nonces one call in some 10^9 fails. */
const nonceRounds = 5

interface AcmeResponse {
  status: number
  headers: Record<string, unknown>
  data: unknown
}

/** CAs count certificates by the week; what asks for longer is a mistake, and may be no date at all. */
const maxRetryAfterMs = 8 * 24 * 3_600_000

function retryAfter(headers: Record<string, unknown>, now = Date.now()): number | null {
  const raw = headers['retry-after']
  if (typeof raw !== 'string' || raw === '') return null
  const ms = /^\d+$/.test(raw) ? Number(raw) * 1000 : Date.parse(raw) - now
  return ms > 0 ? Math.min(ms, maxRetryAfterMs) : null
}

let installed = false
/**
 * Once for the process. The library's own interceptors (the first of each kind) go: their retries wait blindly for minutes, and without
 * retries they turn a lost connection into a TypeError.
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
    // Node gives a connection up after HEAD, which would cost a handshake for each nonce; GET does as well (RFC 8555 §7.2).
    if (config.method === 'head') config.method = 'get'
    // What the CA sends beyond this is not ACME.
    return Object.assign(config, {
      httpsAgent: call.agent,
      // The library's own is for silence only: who sends a byte now and then would hold a place for orders for ever.
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
    // Before the library keeps it for a day: a page of maintenance with status 200 would outlast the maintenance.
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
  /** @throws AcmeProblem, or what the connection met */
  directory(url: string, signal: AbortSignal): Promise<AcmeDirectory>
  /** GET of a JSON resource that needs no account. */
  get(url: string, signal: AbortSignal): Promise<{ data: unknown; retryAfterMs: number | null }>
  client(authority: Authority, account: { keyPem: string; url: string | null }): AcmeClient
  close(): void
}

export interface AcmeClient {
  /** Runs calls of the library: with deadline, stop, typed problems, and again after bad nonces. Calls must bear being repeated. */
  run<T>(signal: AbortSignal, work: (client: acme.Client) => Promise<T>): Promise<T>
}

/** What requests to CAs go through. `caFile`: a PEM that is trusted beside the usual roots. */
export async function createAcmeTransport(options: { caFile: string | null; timeoutMs?: number }): Promise<AcmeTransport> {
  install()
  const own = options.caFile ? await readFile(options.caFile, 'utf8') : null
  // One context for all connections: parsing some 150 roots for each costs more than the request.
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
