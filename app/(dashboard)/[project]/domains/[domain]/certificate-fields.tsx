'use client'
import { useQuery } from '@tanstack/react-query'
import { SelectField } from '@/app/components/ui/field'
import { useTRPC } from '@/app/lib/trpc'
import type { DomainView } from '@/shared/domains'

const modeHints: Record<DomainView['certificateMode'], string> = {
  automatic: 'Asked for and renewed by itself.',
  uploaded: 'Yours; you renew it.',
  off: 'This domain is served over HTTP alone.',
}

export interface CertificateChoice {
  certificateMode: DomainView['certificateMode']
  dnsProviderId: string | null
}

/** Where the certificate comes from; a wildcard's needs somebody who sets a DNS record. */
export function CertificateFields({
  domain,
  choice,
  onChoice,
}: {
  domain: DomainView
  choice: CertificateChoice
  onChoice: (choice: CertificateChoice) => void
}) {
  const trpc = useTRPC()
  const { data: providers = [] } = useQuery(trpc.dnsProviders.list.queryOptions())
  const byDns = choice.certificateMode === 'automatic' && (domain.kind === 'wildcard' || providers.length > 0)
  return (
    <>
      <SelectField
        label="Certificate"
        value={choice.certificateMode}
        onChange={(event) => onChoice({ ...choice, certificateMode: event.target.value as DomainView['certificateMode'] })}
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
          onChange={(event) => onChoice({ ...choice, dnsProviderId: event.target.value || null })}
          hint={
            providers.length === 0 ? 'The team has none yet; add one in the settings of the team.' : 'Proves the name by a record it sets (dns-01).'
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
