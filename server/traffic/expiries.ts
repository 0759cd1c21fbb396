/** A stored certificate and the certificate mode of its domain. */
export interface CertificateRow {
  source: string
  notAfter: Date | null
  domain: { hostname: string; projectId: string; certificateMode: string }
}

/**
 * Expiry of HTTPS per host, one value per host, because Prometheus rejects duplicate series. Of several certificates selects the one that
 * routers prefer: valid before expired, then the configured kind, then the latest expiry.
 */
export function expiriesOf(rows: readonly CertificateRow[], now: number): { projectId: string; host: string; notAfter: Date }[] {
  const rank = ({ source, notAfter, domain }: CertificateRow): number[] => {
    const end = notAfter?.getTime() ?? 0
    const wanted = (source === 'uploaded') === (domain.certificateMode === 'uploaded')
    return [end > now ? 1 : 0, wanted ? 1 : 0, end]
  }
  const best = new Map<string, CertificateRow>()
  for (const row of rows) {
    const before = best.get(row.domain.hostname)
    if (row.notAfter && (!before || isBetter(rank(row), rank(before)))) best.set(row.domain.hostname, row)
  }
  return [...best.values()].flatMap(({ notAfter, domain }) => (notAfter ? [{ projectId: domain.projectId, host: domain.hostname, notAfter }] : []))
}

function isBetter(one: readonly number[], other: readonly number[]): boolean {
  for (const [i, value] of one.entries()) if (value !== other[i]) return value > (other[i] ?? 0)
  return false
}
