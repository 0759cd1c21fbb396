'use client'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { Globe, Plus } from 'lucide-react'
import { useState } from 'react'
import { LoadMore } from '@/app/components/load-more'
import { PageTitle } from '@/app/components/page-title'
import { ActionButton } from '@/app/components/permission'
import { Card, CardHeader } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SearchField } from '@/app/components/ui/search-field'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { hostOf } from '@/app/lib/format'
import { pageSize } from '@/app/lib/pages'
import { useTRPC } from '@/app/lib/trpc'
import { useSettled } from '@/app/lib/use-settled'
import { useProject } from '../use-project'
import { AddDomain } from './add-domain'
import { DomainRow } from './domain-row'

/** Paginated list of the domains of a project. */
export function Domains() {
  const trpc = useTRPC()
  const project = useProject()
  const [adding, setAdding] = useState(false)
  const [typed, setTyped] = useState('')
  const search = useSettled(typed.trim())
  const domains = useInfiniteQuery(
    trpc.domains.list.infiniteQueryOptions(
      { project: project.id, limit: pageSize, ...(search ? { search } : {}) },
      { getNextPageParam: (page) => page.nextCursor, placeholderData: keepPreviousData },
    ),
  )
  const list = domains.data?.pages.flatMap((page) => page.items) ?? []
  const some = list.length > 0 || search !== '' || typed !== ''
  const add = (
    <ActionButton action="domain.write" variant="primary" onClick={() => setAdding(true)}>
      <Plus /> Add domain
    </ActionButton>
  )
  return (
    <>
      <PageTitle
        title="Domains"
        description={
          <>
            This project always answers at{' '}
            <a href={project.url} target="_blank" rel="noreferrer" className="text-fg underline decoration-line-strong underline-offset-2">
              {hostOf(project.url)}
            </a>
            . Add names of your own here.
          </>
        }
        actions={some ? add : null}
      />
      {domains.error ? <ErrorPanel className="mb-4" error={wireErrorOf(domains.error)} /> : null}
      {some ? <SearchField label="Search domains" value={typed} onValue={setTyped} className="mb-4" /> : null}
      <Card>
        {list.length > 0 ? <CardHeader title="Custom domains" description={counted(list.length, domains.hasNextPage)} /> : null}
        <div className={list.length > 0 ? 'border-t' : undefined}>
          {domains.isPending ? <SkeletonRows count={2} className="h-16" /> : null}
          {domains.data && list.length === 0 ? (
            search ? (
              <p className="px-4 py-10 text-center text-muted">No domain matches “{search}”.</p>
            ) : (
              <EmptyState icon={Globe} title="No domain yet" actions={add}>
                Add a name you registered. This page shows the DNS records to set and what is still wrong with them; the certificate is ordered
                automatically.
              </EmptyState>
            )
          ) : null}
          <ul className="divide-y">
            {list.map((domain) => (
              <DomainRow key={domain.id} domain={domain} projectSlug={project.slug} />
            ))}
          </ul>
        </div>
      </Card>
      <LoadMore list={domains} />
      {adding ? <AddDomain project={project} onClose={() => setAdding(false)} /> : null}
    </>
  )
}

function counted(shown: number, more: boolean): string {
  if (more) return `The first ${shown}, by name`
  return `${shown} ${shown === 1 ? 'domain' : 'domains'}`
}
