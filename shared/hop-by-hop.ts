/**
 * Header names, in lower case, that speak of one connection and end with it, whatever its Connection header says: those of RFC 9110
 * §7.6.1, and those by which a client and a proxy know each other.
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
