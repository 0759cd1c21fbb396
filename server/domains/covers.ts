/** Whether a certificate for `names` is good for `hostname`: itself, or the wildcard one label above (RFC 6125 §6.4.3). */
export const covers = (names: ReadonlySet<string>, hostname: string): boolean => coveringNames(hostname).some((name) => names.has(name))

/** Names a certificate may have to be good for `hostname`, the exact one first. */
export function coveringNames(hostname: string): string[] {
  const dot = hostname.indexOf('.')
  return hostname.startsWith('*.') || dot <= 0 ? [hostname] : [hostname, `*${hostname.slice(dot)}`]
}

/** A certificate a router can use right now, whatever becomes of its renewal. */
export const usableCertificate = (now: Date) => ({
  chainPem: { not: null },
  keyCiphertext: { not: null },
  notAfter: { gt: now },
  domain: { certificateMode: { not: 'off' as const } },
})
