'use client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { Skeleton } from '@/app/components/ui/skeleton'
import { Status } from '@/app/components/ui/status'
import { wireErrorOf } from '@/app/lib/errors'
import { hostOf } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import type { SystemView } from '@/shared/views'

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-faint text-sm">{term}</dt>
      <dd className="mt-0.5">{children}</dd>
    </div>
  )
}

function Facts({ system }: { system: SystemView }) {
  return (
    <>
      <dl className="grid grid-cols-2 gap-4 px-4 py-4 sm:grid-cols-4 sm:px-5">
        <Fact term="Version">{system.version}</Fact>
        <Fact term="Runtime">{system.runtime === 'docker' ? 'Docker containers' : 'Processes'}</Fact>
        <Fact term="Apps answer at">
          <span className="break-all font-mono text-sm">{hostOf(system.appUrlPattern)}</span>
        </Fact>
        <Fact term="State">
          <Status tone={system.ready ? 'good' : 'progress'} label={system.ready ? 'Ready' : 'Starting'} />
        </Fact>
      </dl>
      <ul className="divide-y border-t">
        {Object.entries(system.checks).map(([name, check]) => (
          <li key={name} className="flex items-center gap-4 px-4 py-2.5 sm:px-5">
            <span className="w-20 shrink-0 capitalize sm:w-28">{name}</span>
            <span className="min-w-0 flex-1 text-faint text-sm">{check.detail}</span>
            <Status tone={check.ok ? 'good' : 'bad'} label={check.ok ? 'OK' : 'Problem'} />
          </li>
        ))}
      </ul>
    </>
  )
}

/** Version, environment and component health of the installation. */
export function Installation() {
  const trpc = useTRPC()
  const system = useQuery(trpc.system.status.queryOptions())
  return (
    <Card>
      <CardHeader title="Installation" description="This installation and its components." />
      <div className="border-t">
        {system.error ? <ErrorPanel className="m-4" error={wireErrorOf(system.error)} /> : null}
        {system.isPending ? <Skeleton className="m-5 h-24" /> : null}
        {system.data ? <Facts system={system.data} /> : null}
      </div>
    </Card>
  )
}
