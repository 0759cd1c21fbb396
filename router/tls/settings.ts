import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'

/**
 * Settings shared by all contexts and listeners. OpenSSL reads some from the listener's context and others from the context selected by
 * SNI, so both get all of them. A session can be resumed only if both have the same session id context and ticket key.
 */
export const contextSettings = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  // TLS 1.2 only with forward secrecy and authenticated encryption (RFC 9325 §4.2). AES-128 comes first: it is fastest with AES-NI, and
  // clients without AES-NI put ChaCha20 first in their own list.
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ].join(':'),
  honorCipherOrder: true,
  // Prefer the hybrid group: traffic recorded today stays confidential against future quantum computers.
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  secureOptions:
    constants.SSL_OP_NO_RENEGOTIATION |
    constants.SSL_OP_NO_COMPRESSION |
    constants.SSL_OP_CIPHER_SERVER_PREFERENCE |
    constants.SSL_OP_PRIORITIZE_CHACHA,
  sessionIdContext: 'switchyard',
} as const satisfies SecureContextOptions

/** Lifetime of a session in seconds; its ticket key is replaced after 12 hours at the latest. */
export const sessionTimeoutSeconds = 6 * 60 * 60
