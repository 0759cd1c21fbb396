import type { Server, TlsOptions } from 'node:tls'
import type { LinkStates } from '@/shared/link'
import type { CertificateEntry } from '@/shared/route-table'

/** Certificates of a worker: which there are, those in memory, those on disk; and the options a TLS listener is made with. */
export interface TlsEdge {
  /**
   * For `tls.createServer` or `new TLSSocket`: versions, ciphers, SNI by hash map, session tickets shared by all workers, ALPN among
   * `protocols` in order of preference (and `acme-tls/1` while a challenge is pending for the name).
   */
  serverOptions(protocols: readonly ('h2' | 'http/1.1')[]): TlsOptions
  /**
   * To be called once with each server made with `serverOptions`, before it listens: renews its ticket keys, counts failed handshakes,
   * closes connections that only answered an ACME challenge.
   */
  attach(server: Server): void
  /** The certificates of a new table. Resolves when each is there or was asked for in vain; never throws. */
  apply(entries: readonly CertificateEntry[]): Promise<void>
  challenges(alpn: LinkStates['challenges']['alpn']): void
  close(): void
}
