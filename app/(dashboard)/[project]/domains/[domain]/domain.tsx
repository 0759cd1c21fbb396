'use client'
import { useMutation, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { ChevronLeft, ExternalLink, RotateCcw } from 'lucide-react'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { DomainView } from '@/shared/domains'
import { useProject } from '../../use-project'
import { DomainStatus } from '../domain-status'
import { Notes, RecordTable } from '../record-table'
import { CertificateCard } from './certificate-card'
import { CheckList } from './check-list'
import { DomainSettings } from './domain-settings'
import { NextCheck } from './next-check'
import { RemoveDomain } from './remove-domain'

function Records({ domain }: { domain: DomainView }) {
  const done = domain.state === 'verified'
  return (
    <Card className="mt-6">
      <CardHeader
        title={done ? 'Records' : `Set ${domain.records.length === 1 ? 'this record' : 'these records'} at your DNS host`}
        description={done ? 'DNS records that this domain needs.' : 'DNS changes usually take a few minutes; this page updates automatically.'}
      />
      <div className="flex flex-col gap-3 px-4 pb-4 sm:px-5">
        <RecordTable records={domain.records} label="Records to set" />
        <Notes notes={domain.notes} />
        {domain.alternatives.map((other) => (
          <details key={other.when} className="group">
            <summary className="cursor-pointer text-muted text-sm hover:text-fg">{other.when.replace(/:$/, '')}</summary>
            <RecordTable records={other.records} label="Records to set instead" className="mt-2" />
          </details>
        ))}
      </div>
    </Card>
  )
}

function Heading({ domain, checking, onCheck }: { domain: DomainView; checking: boolean; onCheck: () => void }) {
  return (
    <div className="mb-5 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="break-all font-semibold text-xl tracking-tight">{domain.displayName}</h1>
          <DomainStatus domain={domain} pill />
        </div>
        <NextCheck domain={domain} checking={checking} />
      </div>
      <div className="flex items-center gap-2">
        <Button pending={checking} onClick={onCheck}>
          <RotateCcw /> Check again
        </Button>
        {domain.state === 'verified' && domain.kind !== 'wildcard' ? (
          <Button asChild variant="primary">
            <a href={domain.url} target="_blank" rel="noreferrer">
              Open <ExternalLink />
            </a>
          </Button>
        ) : null}
      </div>
    </div>
  )
}

/** Page of a domain: DNS records, check results, certificate, settings. */
export function Domain({ name }: { name: string }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const project = useProject()
  const queryKey = trpc.domains.get.queryKey({ domain: name })
  const { data: domain, error } = useSuspenseQuery(trpc.domains.get.queryOptions({ domain: name }))
  const check = useMutation(trpc.domains.check.mutationOptions({ onSuccess: (view) => queryClient.setQueryData(queryKey, view) }))
  return (
    <>
      <PageLink href={paths.domains(project.slug)} className="mb-3 inline-flex items-center gap-1 text-muted text-sm hover:text-fg">
        <ChevronLeft className="size-4" aria-hidden /> Domains
      </PageLink>
      <Heading domain={domain} checking={check.isPending} onCheck={() => check.mutate({ domain: domain.id })} />
      {/* The cards below show the last data that was loaded. */}
      {error ? <ErrorPanel className="mb-4" title="This page is out of date" error={wireErrorOf(error)} /> : null}
      {check.error ? <ErrorPanel className="mb-4" error={wireErrorOf(check.error)} /> : null}
      {domain.problem ? (
        <ErrorPanel
          title={
            domain.state === 'verified'
              ? 'The certificate cannot be ordered yet'
              : domain.state === 'misconfigured'
                ? 'This domain no longer points to this server'
                : 'This domain does not point to this server yet'
          }
          error={domain.problem}
        />
      ) : null}
      <Records domain={domain} />
      <CheckList checks={domain.checks} />
      <CertificateCard domain={domain} />
      <RefusalNote action="domain.write" className="mt-6" />
      <Permitted action="domain.write">
        <DomainSettings key={domain.id} domain={domain} />
      </Permitted>
      <RemoveDomain domain={domain} projectSlug={project.slug} />
    </>
  )
}
