import { Status } from '@/app/components/ui/status'
import { type DomainView, domainTraits } from '@/shared/domains'

export const isServedOverHttps = (domain: Pick<DomainView, 'url'>): boolean => domain.url.startsWith('https:')

/** State of a domain. A verified domain without a certificate is shown as "Waiting for certificate". */
export function DomainStatus({ domain, pill }: { domain: DomainView; pill?: boolean }) {
  const { tone, label } = domainTraits[domain.state]
  if (domain.state === 'unverified' && domain.checkedAt === null) return <Status tone="progress" label="Checking" pill={pill} />
  const awaitsCertificate =
    domain.state === 'verified' && !isServedOverHttps(domain) && domain.certificateMode === 'automatic' && domain.certificateAuthority
  const refused = domain.problem !== null || domain.certificate?.state === 'failed'
  if (awaitsCertificate) return <Status tone={refused ? 'bad' : 'progress'} label="Waiting for certificate" pill={pill} />
  return <Status tone={tone} label={label} pill={pill} />
}
