import { Status } from '@/app/components/ui/status'
import { type CertificateView, certificateTraits } from '@/shared/certificates'

type Shown = Pick<CertificateView, 'state' | 'notAfter'>

/** State of a certificate, including a served certificate whose renewal is running or failing. */
export function CertificateStatus({ certificate, pill, now }: { certificate: Shown; pill?: boolean; now: number }) {
  const { label, tone } = certificateTraits[certificate.state]
  const until = certificate.notAfter ? Date.parse(certificate.notAfter) : null
  if (until !== null && until <= now) return <Status tone="bad" label="Expired" pill={pill} />
  if (until !== null && certificate.state === 'failed') return <Status tone="bad" label="Active, renewal failed" pill={pill} />
  if (until !== null && certificate.state === 'renewing') return <Status tone="good" label="Active, being renewed" pill={pill} />
  return <Status tone={tone} label={label} pill={pill} />
}

/** A date, with the exact time on hover. */
export function Day({ value }: { value: string }) {
  const text = new Date(value).toLocaleDateString('en', { year: 'numeric', month: 'short', day: 'numeric', timeZone: 'UTC' })
  return (
    <time dateTime={value} title={value}>
      {text}
    </time>
  )
}
