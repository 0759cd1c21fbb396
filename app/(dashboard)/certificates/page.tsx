import type { Metadata } from 'next'
import { UploadCertificate } from '@/app/components/certificate-upload'
import { PageTitle } from '@/app/components/page-title'
import { pageSize } from '@/app/lib/pages'
import { HydrateClient, prefetchPages, trpc } from '@/app/lib/trpc-server'
import { Certificates } from './certificates'

export const metadata: Metadata = { title: 'Certificates' }

export default async function CertificatesPage() {
  await prefetchPages(trpc.certificates.list.infiniteQueryOptions({ limit: pageSize }, { getNextPageParam: (page) => page.nextCursor }))
  return (
    <HydrateClient>
      <PageTitle
        title="Certificates"
        description="Certificates of all domains of the team: ordered and renewed automatically, or uploaded."
        actions={<UploadCertificate />}
      />
      <Certificates />
    </HydrateClient>
  )
}
