import { createPrivateKey, X509Certificate } from 'node:crypto'
import path from 'node:path'
import { createSecureContext, type SecureContext, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import type { LinkStates } from '@/shared/link'
import { Slices } from '@/shared/node/slices'
import type { CertificateEntry } from '@/shared/route-table'
import type { RouterLog } from '../log'
import { CertificateIndex } from './certificate-index'
import { HandshakeFaults } from './handshake-faults'
import { type AskForPairs, KeyPairs } from './key-pairs'
import { LastUsed } from './last-used'
import { SealedStore } from './sealed-store'
import type { SessionKeys } from './session-keys'
import { contextSettings, sessionTimeoutSeconds } from './settings'
import { storeKey } from './store-key'
import type { TlsTerminator } from './tls-terminator'

export interface TlsTerminatorOptions {
  /** `$SWITCHYARD_HOME/run`: contains `edge.key` and `certificates/`. */
  directory: string
  ask: AskForPairs
  sessionKeys: SessionKeys
  /** Certificates available from the first handshake on. */
  entries?: readonly CertificateEntry[]
  /** Slower handshakes are aborted. */
  handshakeTimeoutMs: number
  log: RouterLog
}

/** A TLS context costs 25–38 KiB and 0.15 ms: contexts are created on demand, and this many are cached. */
const maxContexts = 1_000
const firstRetryMs = 2_000
const lastRetryMs = 60_000
const tidyEveryMs = 60 * 60 * 1000
const removeAfterMs = 24 * 60 * 60 * 1000
const expiredLogEveryMs = 60 * 60 * 1000
/** RFC 8737. */
const acmeProtocol = 'acme-tls/1'

export function createTlsTerminator(options: TlsTerminatorOptions): TlsTerminator {
  return new NodeTlsTerminator(options)
}

/**
 * TLS by Node. A client without SNI, or with a name without a certificate, is refused with the alert `handshake_failure`: browsers would
 * reject any other certificate, and Node cannot send `unrecognized_name`.
 */
class NodeTlsTerminator implements TlsTerminator {
  readonly #options: TlsTerminatorOptions
  readonly #pairs: KeyPairs
  readonly #contexts = new LastUsed<SecureContext>(maxContexts)
  readonly #making = new Map<string, Promise<SecureContext | null>>()
  readonly #servers = new Set<Server>()
  readonly #faults: HandshakeFaults
  #entries: readonly CertificateEntry[] = []
  #index = new CertificateIndex()
  /** Number of tables applied so far. */
  #applied = 0
  #challenges = new Map<string, SecureContext>()
  /** Connections on which a CA validates a challenge. */
  readonly #challenged = new WeakSet<object>()
  readonly #expiredLogged = new Map<string, number>()
  #retryTimer: NodeJS.Timeout | undefined
  #retryMs = firstRetryMs
  readonly #tidyTimer: NodeJS.Timeout
  #closed = false

  constructor(options: TlsTerminatorOptions) {
    this.#options = options
    const { directory, log } = options
    const store = new SealedStore(path.join(directory, 'certificates'), storeKey(path.join(directory, 'edge.key'), log))
    this.#pairs = new KeyPairs(store, options.ask, log)
    this.#faults = new HandshakeFaults(log)
    options.sessionKeys.onChange((key) => {
      // Contexts also contain the ticket key, which cannot be replaced by a public method: create them again on demand.
      this.#contexts.clear()
      for (const server of this.#servers) server.setTicketKeys(key)
    })
    this.#tidyTimer = setInterval(() => void this.#tidy(), tidyEveryMs).unref()
    if (options.entries === undefined) return
    this.#entries = options.entries
    this.#index = new CertificateIndex(options.entries)
    void this.#fetchMissing()
  }

  serverOptions(protocols: readonly ('h2' | 'http/1.1')[]): TlsOptions {
    const edge = this
    return {
      ...contextSettings,
      ticketKeys: this.#options.sessionKeys.current,
      sessionTimeout: sessionTimeoutSeconds,
      handshakeTimeout: this.#options.handshakeTimeoutMs,
      // Node calls both functions as methods of the connection. TLS 1.3 selects ALPN before SNI, TLS 1.2 after it.
      SNICallback(this: unknown, name, done) {
        edge.#contextFor(name.toLowerCase(), isObject(this) && edge.#challenged.has(this), done)
      },
      ALPNCallback(this: unknown, { servername, protocols: offered }) {
        const chosen = protocols.find((protocol) => offered.includes(protocol))
        if (chosen !== undefined || edge.#challenges.size === 0 || !offered.includes(acmeProtocol)) return chosen
        const challenge = edge.#challenges.get(servername.toLowerCase())
        if (!challenge || !isObject(this)) return undefined
        edge.#challenged.add(this)
        ;(this as TLSSocket).setKeyCert(challenge)
        return acmeProtocol
      },
    }
  }

  attach(server: Server) {
    this.#servers.add(server)
    // The key may have rotated since the options were created.
    server.setTicketKeys(this.#options.sessionKeys.current)
    server.once('close', () => this.#servers.delete(server))
    server.on('tlsClientError', (error, socket) => {
      this.#faults.count(error)
      socket.destroy()
    })
    server.prependListener('secureConnection', (socket) => {
      // The handshake alone completes the CA's validation (RFC 8737 §3).
      if (socket.alpnProtocol === acmeProtocol) socket.destroySoon()
    })
  }

  #contextFor(name: string, challenged: boolean, done: (error: Error | null, context?: SecureContext) => void) {
    if (this.#challenges.size > 0) {
      const challenge = this.#challenges.get(name)
      if (challenge && (challenged || this.#index.best(name, Date.now()) === undefined)) return done(null, challenge)
    }
    const now = Date.now()
    const best = this.#index.best(name, now)
    if (best === undefined) return done(null)
    if (best.notAfter <= now) this.#sayExpired(best, name, now)
    const context = this.#contexts.get(best.id)
    if (context !== undefined) return done(null, context)
    void this.#firstOf(this.#index.candidates(name, now)).then((made) => done(null, made ?? undefined))
  }

  /** The first loadable certificate: a renewed certificate whose key is not loaded yet must not take the name down. */
  async #firstOf(entries: readonly CertificateEntry[]): Promise<SecureContext | null> {
    for (const entry of entries) {
      const context = this.#contexts.get(entry.id) ?? (await this.#make(entry.id))
      if (context) return context
    }
    return null
  }

  #make(id: string): Promise<SecureContext | null> {
    const making = this.#making.get(id) ?? this.#makeOnce(id).finally(() => this.#making.delete(id))
    this.#making.set(id, making)
    return making
  }

  async #makeOnce(id: string): Promise<SecureContext | null> {
    const { log, sessionKeys } = this.#options
    const pair = await this.#pairs.get(id)
    if (!pair) return null
    try {
      const context = this.#context(pair.chainPem, pair.keyPem, sessionKeys.current)
      this.#contexts.set(id, context)
      return context
    } catch (error) {
      log.error({ err: error, certificate: id }, 'a certificate cannot be used: another one of the name is served, if there is one')
      return null
    }
  }

  #context(cert: string, key: string, ticketKeys: Buffer): SecureContext {
    // Node creates a context from a mismatched key without an error.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) throw new Error('the key is not that of the certificate')
    return createSecureContext({ ...contextSettings, cert, key, ticketKeys, sessionTimeout: sessionTimeoutSeconds })
  }

  // Logs that an expired certificate is served because no valid one exists; at most once per interval and certificate.
  #sayExpired(entry: CertificateEntry, name: string, now: number): void {
    if (now - (this.#expiredLogged.get(entry.id) ?? Number.NEGATIVE_INFINITY) < expiredLogEveryMs) return
    if (this.#expiredLogged.size > 10_000) this.#expiredLogged.clear()
    this.#expiredLogged.set(entry.id, now)
    this.#options.log.error(
      { certificate: entry.id, name, expired: new Date(entry.notAfter).toISOString() },
      'an expired certificate is served: there is no other for this name',
    )
  }

  async apply(entries: readonly CertificateEntry[]): Promise<void> {
    if (this.#closed) return
    const turn = ++this.#applied
    const slices = new Slices()
    const before = this.#entries
    let same = entries.length === before.length
    for (let i = 0; same && entries !== before && i < entries.length; i++) {
      same = isSame(entries[i] as CertificateEntry, before[i])
      if (slices.over) await slices.next()
    }
    // Most tables change only routes: missing certificates are already being requested.
    if (same) return
    const index = new CertificateIndex()
    for (const entry of entries) {
      index.add(entry)
      if (slices.over) await slices.next()
    }
    // A newer table was applied during the loop.
    if (this.#closed || turn !== this.#applied) return
    this.#entries = entries
    this.#index = index
    this.#contexts.keepOnly(index)
    this.#retryMs = firstRetryMs
    await this.#fetchMissing()
  }

  async #fetchMissing(): Promise<void> {
    clearTimeout(this.#retryTimer)
    const entries = this.#entries
    const missing: string[] = []
    const slices = new Slices()
    for (const { id } of entries) {
      if (!this.#pairs.has(id)) missing.push(id)
      if (slices.over) await slices.next()
    }
    if (missing.length > 0) await this.#pairs.fetch(missing)
    if (this.#closed || entries !== this.#entries || missing.every((id) => this.#pairs.has(id))) return
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => void this.#fetchMissing(), this.#retryMs).unref()
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2)
  }

  async #tidy(): Promise<void> {
    // Without a table it is unknown which keys are in use.
    if (this.#entries.length === 0) return
    await this.#pairs.tidy(this.#index.ids, Date.now() - removeAfterMs)
  }

  challenges(alpn: LinkStates['challenges']['alpn']): void {
    const { log, sessionKeys } = this.#options
    const contexts = new Map<string, SecureContext>()
    for (const [name, { certificatePem, keyPem }] of Object.entries(alpn))
      try {
        contexts.set(name.toLowerCase(), this.#context(certificatePem, keyPem, sessionKeys.current))
      } catch (error) {
        log.error({ err: error, name }, 'the certificate of an ACME challenge cannot be used')
      }
    this.#challenges = contexts
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    clearInterval(this.#tidyTimer)
    this.#faults.close()
    this.#contexts.clear()
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const isSame = (a: CertificateEntry, b: CertificateEntry | undefined) =>
  a === b || (a.id === b?.id && a.notAfter === b.notAfter && a.names.length === b.names.length && a.names.every((name, i) => name === b.names[i]))
