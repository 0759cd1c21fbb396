'use client'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { Rocket } from 'lucide-react'
import { useState } from 'react'
import { wireErrorOf } from '@/app/lib/errors'
import { pageSize } from '@/app/lib/pages'
import { useTRPC } from '@/app/lib/trpc'
import { type DeploymentStatus, deploymentStatuses, deploymentTraits } from '@/shared/states'
import { DeploymentRow } from './deployment-row'
import { LoadMore } from './load-more'
import { Button } from './ui/button'
import { Card } from './ui/card'
import { EmptyState } from './ui/empty-state'
import { ErrorPanel } from './ui/error-panel'
import { SelectField } from './ui/field'
import { SkeletonRows } from './ui/skeleton'

/** Paginated deployments of a project or of all projects, filtered by status. */
export function DeploymentList({ projectId }: { projectId?: string }) {
  const trpc = useTRPC()
  const [status, setStatus] = useState<DeploymentStatus | ''>('')
  const list = useInfiniteQuery(
    trpc.deployments.list.infiniteQueryOptions(
      { projectId, limit: pageSize, ...(status ? { status } : {}) },
      { getNextPageParam: (page) => page.nextCursor, placeholderData: keepPreviousData },
    ),
  )
  const shown = list.data?.pages.flatMap((page) => page.items) ?? []

  return (
    <>
      <div className="mb-4 flex items-center justify-between gap-4">
        <SelectField
          label="Status"
          labelHidden
          value={status}
          onChange={(event) => setStatus(event.target.value as DeploymentStatus | '')}
          className="w-44"
        >
          <option value="">All statuses</option>
          {deploymentStatuses.map((each) => (
            <option key={each} value={each}>
              {deploymentTraits[each].label}
            </option>
          ))}
        </SelectField>
        <p className="text-faint text-sm tabular-nums" aria-live="polite">
          {list.data ? `${shown.length}${list.hasNextPage ? ' newest' : ''} shown` : ''}
        </p>
      </div>
      <Card>
        {list.error ? (
          <ErrorPanel error={wireErrorOf(list.error)} className="m-4" actions={<Button onClick={() => list.refetch()}>Try again</Button>} />
        ) : null}
        {list.isPending ? <SkeletonRows count={6} className="h-[4.25rem]" /> : null}
        {list.data && shown.length === 0 ? (
          <EmptyState icon={Rocket} title={status === '' ? 'No deployments yet' : 'None with this status'}>
            {status === '' ? 'Deployments and their results are listed here.' : 'Choose another status.'}
          </EmptyState>
        ) : null}
        <ul className="divide-y">
          {shown.map((deployment) => (
            <DeploymentRow key={deployment.id} deployment={deployment} showProject={projectId === undefined} />
          ))}
        </ul>
      </Card>
      <LoadMore list={list} />
    </>
  )
}
