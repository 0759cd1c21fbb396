/**
 * Hop-by-hop header names in lower case, whether or not the Connection header lists them: those of RFC 9110 §7.6.1, and those of proxy
 * authentication.
 */
export const hopByHop: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
