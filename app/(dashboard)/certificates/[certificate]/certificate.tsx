'use client'
import { useSuspenseQuery } from '@tanstack/react-query'
import { ChevronLeft } from 'lucide-react'
import type { ReactNode } from 'react'
import { RetryCertificate } from '@/app/components/certificate-retry'
import { CertificateStatus, Day } from '@/app/components/certificate-state'
import { UploadCertificate } from '@/app/components/certificate-upload'
import { PageTitle } from '@/app/components/page-title'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { useNow } from '@/app/lib/use-now'
import type { CertificateDetail } from '@/shared/certificates'
import { RemoveUploaded } from './remove-uploaded'
import { Tries } from './tries'

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-faint text-sm">{term}</dt>
      <dd className="break-words">{children}</dd>
    </div>
  )
}

const moment = (iso: string) => `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** Time and reason of the next renewal. */
function Next({ certificate }: { certificate: CertificateDetail }) {
  if (certificate.source === 'uploaded') return 'Upload a new certificate before this one expires.'
  if (!certificate.nextAttemptAt) return 'As soon as the domain is ready'
  return (
    <>
      <time dateTime={certificate.nextAttemptAt}>{moment(certificate.nextAttemptAt)}</time>
      {certificate.renewalExplanationUrl ? (
        <>
          {' '}
          (
          <a className="underline" href={certificate.renewalExplanationUrl} rel="noreferrer noopener">
            the CA says why
          </a>
          )
        </>
      ) : null}
    </>
  )
}

function Facts({ certificate }: { certificate: CertificateDetail }) {
  const { names, issuer, notBefore, notAfter, serial } = certificate
  return (
    <dl className="grid gap-x-8 gap-y-4 px-4 pb-4 sm:grid-cols-2 sm:px-5">
      <Fact term="Names">{names.join(', ')}</Fact>
      <Fact term="Issued by">{issuer ?? 'Nobody yet'}</Fact>
      {notBefore && notAfter ? (
        <Fact term="Valid">
          <Day value={notBefore} /> to <Day value={notAfter} />
        </Fact>
      ) : null}
      <Fact term={notAfter ? 'Next renewal' : 'Next attempt'}>
        <Next certificate={certificate} />
      </Fact>
      {serial ? (
        <Fact term="Serial number">
          <code className="break-all font-mono text-sm">{serial}</code>
        </Fact>
      ) : null}
    </dl>
  )
}

/** Page of a certificate: state and reason, contents, renewal, attempts. */
export function Certificate({ id }: { id: string }) {
  const trpc = useTRPC()
  const now = useNow(60_000)
  const { data: certificate, error } = useSuspenseQuery(trpc.certificates.get.queryOptions({ certificateId: id }))
  return (
    <>
      <PageLink href={paths.certificates} className="mb-3 inline-flex items-center gap-1 text-muted text-sm hover:text-fg">
        <ChevronLeft className="size-4" aria-hidden /> Certificates
      </PageLink>
      <PageTitle
        title={certificate.hostname}
        actions={
          <>
            <RetryCertificate certificate={certificate} />
            <UploadCertificate domain={certificate.hostname} />
          </>
        }
      />
      <div className="flex flex-col gap-6">
        {/* The cards below show the last data that was loaded. */}
        {error ? <ErrorPanel title="This page is out of date" error={wireErrorOf(error)} /> : null}
        {certificate.problem ? <ErrorPanel error={certificate.problem} /> : null}
        <Card>
          <CardHeader title="Certificate" actions={<CertificateStatus certificate={certificate} now={now} pill />} />
          <Facts certificate={certificate} />
        </Card>
        {certificate.source === 'acme' ? <Tries tries={certificate.tries} /> : <RemoveUploaded certificate={certificate} />}
      </div>
    </>
  )
}
