'use client'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { PageTitle } from '@/app/components/page-title'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { TrafficRange } from '@/shared/traffic'
import { useProject } from '../use-project'
import { Breakdown } from './breakdown'
import { Charts } from './charts'
import { EjectedNotice } from './ejected-notice'
import { Figures } from './figures'
import { LiveRequests } from './live-requests'
import { RangeChoice } from './range-choice'

/**
 * Refetch interval by range, only while the page is visible: routers report every few seconds. Long ranges are refetched less often, because
 * they sum many rows and their last point changes slowly.
 */
const refreshMs: Record<TrafficRange, number> = { '1h': 10_000, '6h': 20_000, '24h': 60_000, '7d': 300_000, '30d': 300_000 }

/** Traffic page: charts, totals by host and instance, live requests. */
export function Traffic() {
  const trpc = useTRPC()
  const project = useProject()
  const [range, setRange] = useState<TrafficRange>('1h')
  const [host, setHost] = useState<string | undefined>()
  const query = { project: project.id, range, ...(host ? { host } : {}) }
  const series = useQuery({ ...trpc.traffic.series.queryOptions(query), refetchInterval: refreshMs[range], placeholderData: keepPreviousData })
  const all = useQuery({ ...trpc.traffic.series.queryOptions({ project: project.id, range }), placeholderData: keepPreviousData })
  const hosts = all.data?.hosts.map((row) => row.host) ?? []
  return (
    <>
      <PageTitle
        title="Traffic"
        description="Requests and responses, counted by the routers."
        actions={
          <div className="flex flex-wrap items-center gap-2">
            {hosts.length > 1 ? (
              <SelectField label="Host" labelHidden value={host ?? ''} onChange={(event) => setHost(event.target.value || undefined)}>
                <option value="">All hosts</option>
                {hosts.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </SelectField>
            ) : null}
            <RangeChoice value={range} onChange={setRange} />
          </div>
        }
      />
      {series.error ? <ErrorPanel className="mb-4" error={wireErrorOf(series.error)} /> : null}
      <EjectedNotice projectId={project.id} slug={project.slug} />
      <Figures total={series.data?.total} />
      <Charts series={series.data} range={range} />
      {series.data && series.data.total.requests > 0 ? <Breakdown series={series.data} /> : null}
      <LiveRequests projectId={project.id} slug={project.slug} host={host} />
    </>
  )
}
