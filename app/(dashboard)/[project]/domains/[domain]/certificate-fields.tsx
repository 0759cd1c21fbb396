'use client'
import { useQuery } from '@tanstack/react-query'
import { SelectField } from '@/app/components/ui/field'
import { useTRPC } from '@/app/lib/trpc'
import type { DomainView } from '@/shared/domains'

const modeHints: Record<DomainView['certificateMode'], string> = {
  automatic: 'Ordered and renewed automatically.',
  uploaded: 'Yours; you renew it.',
  off: 'Served over HTTP only; browsers that remember HTTPS (HSTS) cannot open it.',
}

interface CertificateChoice {
  certificateMode: DomainView['certificateMode']
  dnsProviderId: string | null
}

/** Source of the certificate. A wildcard certificate needs a DNS provider (dns-01). */
export function CertificateFields({
  domain,
  choice,
  onChoice,
}: {
  domain: DomainView
  choice: CertificateChoice
  onChoice: (part: Partial<CertificateChoice>) => void
}) {
  const trpc = useTRPC()
  const { data, isPending } = useQuery(trpc.dnsProviders.list.queryOptions())
  const providers = data?.items ?? []
  const byDns = choice.certificateMode === 'automatic' && (domain.kind === 'wildcard' || providers.length > 0)
  return (
    <>
      <SelectField
        label="Certificate"
        value={choice.certificateMode}
        onChange={(event) => onChoice({ certificateMode: event.target.value as DomainView['certificateMode'] })}
        hint={modeHints[choice.certificateMode]}
      >
        <option value="automatic">Automatic</option>
        <option value="uploaded">Uploaded</option>
        <option value="off">None: HTTP only</option>
      </SelectField>
      {byDns ? (
        <SelectField
          label="DNS provider"
          value={choice.dnsProviderId ?? ''}
          onChange={(event) => onChoice({ dnsProviderId: event.target.value || null })}
          hint={
            providers.length === 0 && !isPending
              ? 'The team has no DNS provider yet; add one in the team settings.'
              : 'Proves ownership of the name with a DNS record (dns-01).'
          }
        >
          <option value="">{domain.kind === 'wildcard' ? 'Choose one' : 'None: proved over HTTP'}</option>
          {providers.map((provider) => (
            <option key={provider.id} value={provider.id}>
              {provider.name}
            </option>
          ))}
        </SelectField>
      ) : null}
    </>
  )
}
