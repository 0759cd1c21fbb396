'use client'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { ChevronRight, ShieldCheck } from 'lucide-react'
import { useState } from 'react'
import { CertificateStatus, Day } from '@/app/components/certificate-state'
import { LoadMore } from '@/app/components/load-more'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { SearchField } from '@/app/components/ui/search-field'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { pageSize } from '@/app/lib/pages'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { useNow } from '@/app/lib/use-now'
import { useSettled } from '@/app/lib/use-settled'
import type { CertificateView } from '@/shared/certificates'

function Line({ certificate }: { certificate: CertificateView }) {
  if (certificate.problem) return <span className="line-clamp-3 sm:line-clamp-1">{certificate.problem.message}</span>
  if (!certificate.notAfter) return <span>Not issued yet</span>
  return (
    <span className="sm:truncate">
      {certificate.issuer} · until <Day value={certificate.notAfter} />
      {certificate.source === 'uploaded' ? ' · uploaded' : ''}
    </span>
  )
}

function CertificateRow({ certificate, now }: { certificate: CertificateView; now: number }) {
  return (
    <li className="relative flex min-h-16 items-center gap-4 px-4 py-3 hover:bg-hover/60 sm:px-5">
      <div className="min-w-0 flex-1">
        <PageLink href={paths.certificate(certificate.id)} className="block truncate font-medium after:absolute after:inset-0">
          {certificate.hostname}
        </PageLink>
        <p className="mt-0.5 flex min-w-0 text-muted text-sm">
          <Line certificate={certificate} />
        </p>
      </div>
      <CertificateStatus certificate={certificate} now={now} />
      <ChevronRight className="size-4 shrink-0 text-faint" aria-hidden />
    </li>
  )
}

function NoCertificates() {
  return (
    <EmptyState
      icon={ShieldCheck}
      title="No certificates yet"
      actions={
        <Button asChild>
          <PageLink href={paths.home}>Choose a project</PageLink>
        </Button>
      }
    >
      Add a domain to a project: once its DNS is correct, its certificate is ordered automatically.
    </EmptyState>
  )
}

/** Paginated list of the certificates of the team. */
export function Certificates() {
  const trpc = useTRPC()
  const now = useNow(60_000)
  const [typed, setTyped] = useState('')
  const search = useSettled(typed.trim())
  const list = useInfiniteQuery(
    trpc.certificates.list.infiniteQueryOptions(
      { limit: pageSize, ...(search ? { search } : {}) },
      { getNextPageParam: (page) => page.nextCursor, placeholderData: keepPreviousData },
    ),
  )
  const shown = list.data?.pages.flatMap((page) => page.items) ?? []
  const searchable = typed !== '' || search !== '' || shown.length > 0
  return (
    <>
      {searchable ? <SearchField label="Search certificates by domain" value={typed} onValue={setTyped} className="mb-4" /> : null}
      <Card>
        {list.error ? <ErrorPanel className="m-4" error={wireErrorOf(list.error)} /> : null}
        {list.isPending ? <SkeletonRows count={3} className="h-16" /> : null}
        {list.data && shown.length === 0 ? (
          search ? (
            <p className="px-4 py-10 text-center text-muted">No domain matches “{search}”.</p>
          ) : (
            <NoCertificates />
          )
        ) : null}
        <ul className="divide-y">
          {shown.map((certificate) => (
            <CertificateRow key={certificate.id} certificate={certificate} now={now} />
          ))}
        </ul>
      </Card>
      <LoadMore list={list} />
    </>
  )
}
