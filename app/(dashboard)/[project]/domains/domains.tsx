'use client'
import { useQuery } from '@tanstack/react-query'
import { Globe, Plus } from 'lucide-react'
import { useState } from 'react'
import { PageTitle } from '@/app/components/page-title'
import { ActionButton } from '@/app/components/permission'
import { Card, CardHeader } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { hostOf } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import { useProject } from '../use-project'
import { AddDomain } from './add-domain'
import { DomainRow } from './domain-row'

/** Names under which the project answers. */
export function Domains() {
  const trpc = useTRPC()
  const project = useProject()
  const [adding, setAdding] = useState(false)
  const domains = useQuery(trpc.domains.list.queryOptions({ projectId: project.id }))
  const list = domains.data ?? []
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
        actions={list.length > 0 ? add : null}
      />
      {domains.error ? <ErrorPanel className="mb-4" error={wireErrorOf(domains.error)} /> : null}
      <Card>
        {list.length > 0 ? <CardHeader title="Custom domains" description={`${list.length} ${list.length === 1 ? 'domain' : 'domains'}`} /> : null}
        <div className={list.length > 0 ? 'border-t' : undefined}>
          {domains.isPending ? <SkeletonRows count={2} className="h-16" /> : null}
          {domains.data && list.length === 0 ? (
            <EmptyState icon={Globe} title="No domain yet" actions={add}>
              Add a name you registered. You are shown the exact records to set, and what is still wrong with them; the certificate comes by itself.
            </EmptyState>
          ) : null}
          <ul className="divide-y">
            {list.map((domain) => (
              <DomainRow key={domain.id} domain={domain} projectSlug={project.slug} />
            ))}
          </ul>
        </div>
      </Card>
      {adding ? <AddDomain project={project} existing={list} onClose={() => setAdding(false)} /> : null}
    </>
  )
}
