import type { Server, TlsOptions } from 'node:tls'
import type { LinkStates } from '@/shared/link'
import type { CertificateEntry } from '@/shared/route-table'

/** The TLS layer of a worker: its certificates in memory and on disk, and the options for TLS listeners. */
export interface TlsTerminator {
  /**
   * For `tls.createServer` or `new TLSSocket`: versions, ciphers, SNI by hash map, session tickets shared by all workers, ALPN among
   * `protocols` in order of preference (and `acme-tls/1` while a challenge is pending for the name).
   */
  serverOptions(protocols: readonly ('h2' | 'http/1.1')[]): TlsOptions
  /**
   * Call once with each server created with `serverOptions`, before it listens: updates its ticket keys, counts failed handshakes, closes
   * connections that only answered an ACME challenge.
   */
  attach(server: Server): void
  /** Applies the certificates of a new table. Resolves when each was loaded or could not be obtained; never throws. */
  apply(entries: readonly CertificateEntry[]): Promise<void>
  challenges(alpn: LinkStates['challenges']['alpn']): void
  close(): void
}
