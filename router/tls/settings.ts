import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'

/**
 * What every context and listener shares. OpenSSL takes some of it from the listener's context and some from the one that SNI chose, so
 * both get all of it; a session is resumed only where both have the same id context and ticket key.
 */
export const contextSettings = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  // TLS 1.2 with forward secrecy and authenticated encryption alone (RFC 9325 §4.2). AES-128 first: fastest where there is AES-NI, and
  // whoever has none says so by asking for ChaCha20 first.
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
  // The hybrid first: what is recorded today stays closed to a quantum computer of later.
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  secureOptions:
    constants.SSL_OP_NO_RENEGOTIATION |
    constants.SSL_OP_NO_COMPRESSION |
    constants.SSL_OP_CIPHER_SERVER_PREFERENCE |
    constants.SSL_OP_PRIORITIZE_CHACHA,
  sessionIdContext: 'switchyard',
} as const satisfies SecureContextOptions

/** How long a session may be resumed, in seconds; its ticket key is gone after 12 hours anyway. */
export const sessionTimeoutSeconds = 6 * 60 * 60
