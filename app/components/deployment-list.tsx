'use client'
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Rocket } from 'lucide-react'
import { useSearchParams } from 'next/navigation'
import { useEffect, useEffectEvent, useState } from 'react'
import { type DeploymentFilter, filterOf, queryOf } from '@/app/lib/deployment-filter'
import { wireErrorOf } from '@/app/lib/errors'
import { pageSize } from '@/app/lib/pages'
import { useTRPC } from '@/app/lib/trpc'
import { useSettled } from '@/app/lib/use-settled'
import { deploymentStatuses, deploymentTraits } from '@/shared/states'
import { DeploymentRow } from './deployment-row'
import { LoadMore } from './load-more'
import { Button } from './ui/button'
import { Card } from './ui/card'
import { EmptyState } from './ui/empty-state'
import { ErrorPanel } from './ui/error-panel'
import { SelectField, TextField } from './ui/field'
import { SkeletonRows } from './ui/skeleton'

/** A text of the filter that is typed: it is applied after a pause. */
function TypedFilter({ label, value, onValue }: { label: string; value: string; onValue: (text: string) => void }) {
  const [typed, setTyped] = useState(value)
  const settled = useSettled(typed.trim())
  const apply = useEffectEvent(onValue)
  useEffect(() => apply(settled), [settled])
  return (
    <TextField
      label={label}
      labelHidden
      placeholder={label}
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
      maxLength={200}
      autoComplete="off"
      className="w-36 grow sm:grow-0"
    />
  )
}

/** Filter in the address of the page, so that it survives a reload and can be passed on. */
function useFilter(): [DeploymentFilter, (change: Partial<Record<keyof DeploymentFilter, string>>) => void] {
  const filter = filterOf(new URLSearchParams(useSearchParams()))
  const change = (part: Partial<Record<keyof DeploymentFilter, string>>) => {
    const search = queryOf({ ...filter, ...part } as DeploymentFilter)
    if (search !== queryOf(filter)) window.history.replaceState(null, '', window.location.pathname + search)
  }
  return [filter, change]
}

function EnvironmentFilter({ projectId, value, onValue }: { projectId?: string; value: string; onValue: (name: string) => void }) {
  const trpc = useTRPC()
  const { data } = useQuery({ ...trpc.environments.list.queryOptions({ project: projectId ?? '' }), enabled: projectId !== undefined })
  const names = data?.items.filter(({ template }) => !template).map(({ name }) => name) ?? ['production']
  return (
    <SelectField label="Environment" labelHidden value={value} onChange={(event) => onValue(event.target.value)} className="w-44 grow sm:grow-0">
      <option value="">All environments</option>
      {[...new Set([...names, ...(value ? [value] : [])])].map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </SelectField>
  )
}

/** Paginated deployments of a project or of all projects, filtered by environment, branch, author and status. */
export function DeploymentList({ projectId }: { projectId?: string }) {
  const trpc = useTRPC()
  const [filter, change] = useFilter()
  const list = useInfiniteQuery(
    trpc.deployments.list.infiniteQueryOptions(
      { projectId, limit: pageSize, ...filter },
      { getNextPageParam: (page) => page.nextCursor, placeholderData: keepPreviousData },
    ),
  )
  const shown = list.data?.pages.flatMap((page) => page.items) ?? []
  const isFiltered = queryOf(filter) !== ''

  return (
    <>
      <div className="mb-4 flex flex-wrap items-center gap-2">
        <EnvironmentFilter projectId={projectId} value={filter.environment ?? ''} onValue={(environment) => change({ environment })} />
        <SelectField
          label="Status"
          labelHidden
          value={filter.status ?? ''}
          onChange={(event) => change({ status: event.target.value })}
          className="w-36 grow sm:grow-0"
        >
          <option value="">All statuses</option>
          {deploymentStatuses.map((each) => (
            <option key={each} value={each}>
              {deploymentTraits[each].label}
            </option>
          ))}
        </SelectField>
        <TypedFilter label="Branch" value={filter.branch ?? ''} onValue={(branch) => change({ branch })} />
        <TypedFilter label="Author" value={filter.author ?? ''} onValue={(author) => change({ author })} />
        <p className="ml-auto text-faint text-sm tabular-nums" aria-live="polite">
          {list.data ? `${shown.length}${list.hasNextPage ? ' newest' : ''} shown` : ''}
        </p>
      </div>
      <Card>
        {list.error ? (
          <ErrorPanel error={wireErrorOf(list.error)} className="m-4" actions={<Button onClick={() => list.refetch()}>Try again</Button>} />
        ) : null}
        {list.isPending ? <SkeletonRows count={6} className="h-[4.25rem]" /> : null}
        {list.data && shown.length === 0 ? (
          <EmptyState icon={Rocket} title={isFiltered ? 'No deployment matches' : 'No deployments yet'}>
            {isFiltered ? 'Choose another environment, status, branch or author.' : 'Deployments and their results are listed here.'}
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
