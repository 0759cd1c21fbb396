'use client'
import { RetryCertificate } from '@/app/components/certificate-retry'
import { CertificateStatus, Day } from '@/app/components/certificate-state'
import { UploadCertificate } from '@/app/components/certificate-upload'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { RelativeTime } from '@/app/components/ui/time'
import { paths } from '@/app/lib/paths'
import { useNow } from '@/app/lib/use-now'
import type { DomainView } from '@/shared/domains'

type Certificate = NonNullable<DomainView['certificate']>

function Facts({ certificate }: { certificate: Certificate }) {
  return (
    <dl className="grid gap-x-8 gap-y-3 sm:grid-cols-3">
      <div className="min-w-0">
        <dt className="text-faint text-sm">Names</dt>
        <dd className="break-all">{certificate.names.join(', ')}</dd>
      </div>
      {certificate.issuer ? (
        <div className="min-w-0">
          <dt className="text-faint text-sm">Issued by</dt>
          <dd className="break-words">{certificate.issuer}</dd>
        </div>
      ) : null}
      {certificate.notAfter ? (
        <div>
          <dt className="text-faint text-sm">Valid until</dt>
          <dd>
            <Day value={certificate.notAfter} />
          </dd>
        </div>
      ) : null}
    </dl>
  )
}

function whyNone({ certificateMode, certificateAuthority, state, problem }: DomainView): string {
  if (certificateMode === 'off') return 'HTTPS is off for this domain.'
  if (certificateMode === 'uploaded') return 'No certificate has been uploaded yet.'
  if (!certificateAuthority) return 'This installation has no certificate authority (ACME_DIRECTORY=off); upload a certificate instead.'
  if (state !== 'verified' || problem) return 'Ordered automatically when all checks above pass.'
  return 'The certificate is being ordered.'
}

/** Shows the certificate of the domain, or why it has no certificate yet. */
export function CertificateCard({ domain }: { domain: DomainView }) {
  const { certificate } = domain
  const now = useNow(60_000)
  return (
    <Card className="mt-6">
      <CardHeader
        title="Certificate"
        description={certificate ? undefined : whyNone(domain)}
        actions={certificate ? <CertificateStatus certificate={certificate} now={now} pill /> : null}
      />
      {certificate ? (
        <div className="flex flex-col gap-3 px-4 pb-4 sm:px-5">
          <Facts certificate={certificate} />
          {certificate.problem ? <ErrorPanel error={certificate.problem} /> : null}
          {certificate.nextAttemptAt && certificate.state !== 'active' ? (
            <p className="text-muted text-sm">
              Next attempt: <RelativeTime value={certificate.nextAttemptAt} />
            </p>
          ) : null}
        </div>
      ) : null}
      <div className="flex flex-wrap items-center gap-2 border-t px-4 py-3 sm:px-5">
        {certificate?.nextAttemptAt ? <RetryCertificate certificate={certificate} size="sm" /> : null}
        <UploadCertificate domain={domain.hostname} size="sm" />
        {certificate ? (
          <PageLink href={paths.certificate(certificate.id)} className="ml-auto text-muted text-sm hover:text-fg">
            Details and attempts
          </PageLink>
        ) : null}
      </div>
    </Card>
  )
}
