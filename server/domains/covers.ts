/** Whether a certificate for `names` covers `hostname`: the exact name, or the wildcard one label above (RFC 6125 §6.4.3). */
export const covers = (names: ReadonlySet<string>, hostname: string): boolean => coveringNames(hostname).some((name) => names.has(name))

/** Certificate names that cover `hostname`, the exact one first. */
export function coveringNames(hostname: string): string[] {
  const dot = hostname.indexOf('.')
  return hostname.startsWith('*.') || dot <= 0 ? [hostname] : [hostname, `*${hostname.slice(dot)}`]
}

/** Selects certificates that a router can use now, independent of the state of their renewal. */
export const usableCertificate = (now: Date) => ({
  chainPem: { not: null },
  keyCiphertext: { not: null },
  notAfter: { gt: now },
  domain: { certificateMode: { not: 'off' as const } },
})
