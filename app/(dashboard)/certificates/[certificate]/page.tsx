import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { HydrateClient, loadCertificate } from '@/app/lib/trpc-server'
import { Certificate } from './certificate'

interface PageProps {
  params: Promise<{ certificate: string }>
}

export async function generateMetadata({ params }: PageProps): Promise<Metadata> {
  const certificate = await loadCertificate((await params).certificate)
  return { title: certificate ? `Certificate of ${certificate.hostname}` : 'Not found' }
}

export default async function CertificatePage({ params }: PageProps) {
  const certificate = await loadCertificate((await params).certificate)
  if (!certificate) notFound()
  return (
    <HydrateClient>
      <Certificate id={certificate.id} />
    </HydrateClient>
  )
}
