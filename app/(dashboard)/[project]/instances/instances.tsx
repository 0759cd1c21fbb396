'use client'
import { useQuery } from '@tanstack/react-query'
import { Server } from 'lucide-react'
import { useState } from 'react'
import { PageTitle } from '@/app/components/page-title'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import { isServedFromFiles } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { InstanceView } from '@/shared/views'
import { EjectedNotice } from '../traffic/ejected-notice'
import { useProject } from '../use-project'
import { InstanceLogs } from './instance-logs'
import { InstanceRow } from './instance-row'

/** Memory and CPU are measured on request: poll slowly, and only while the page is visible. */
const statsEveryMs = 10_000

/** Instances of the app, with memory, CPU and logs. */
export function Instances() {
  const trpc = useTRPC()
  const project = useProject()
  const instances = useQuery({ ...trpc.instances.list.queryOptions({ project: project.id }), refetchInterval: statsEveryMs })
  const [shown, setShown] = useState<InstanceView | null>(null)
  const all = instances.data?.items ?? []
  const present = all.filter((instance) => instance.state !== 'stopped')
  const stopped = all.filter((instance) => instance.state === 'stopped')
  return (
    <>
      <PageTitle title="Instances" description="The running copies of this app. Only healthy instances get traffic." />
      {instances.error ? <ErrorPanel className="mb-4" error={wireErrorOf(instances.error)} /> : null}
      <EjectedNotice projectId={project.id} slug={project.slug} />
      <Card>
        {instances.isPending ? <SkeletonRows count={2} className="h-[4.5rem]" /> : null}
        {instances.data && present.length === 0 ? (
          <EmptyState
            icon={Server}
            title="No instance is running"
            actions={
              <Button asChild>
                <PageLink href={paths.project(project.slug)}>Go to the overview</PageLink>
              </Button>
            }
          >
            {isServedFromFiles(project)
              ? 'This project consists of static files, which the routers serve without an instance.'
              : 'An instance starts with a deployment and runs until the next deployment is live.'}
          </EmptyState>
        ) : null}
        <ul className="divide-y">
          {present.map((instance) => (
            <InstanceRow
              key={instance.id}
              instance={instance}
              live={instance.deploymentId === project.liveDeployment?.id}
              slug={project.slug}
              onLogs={() => setShown(instance)}
            />
          ))}
        </ul>
      </Card>
      {stopped.length > 0 ? (
        <details className="mt-6">
          <summary className="cursor-pointer text-muted text-sm hover:text-fg">Stopped instances ({stopped.length})</summary>
          <Card className="mt-3">
            <ul className="divide-y">
              {stopped.map((instance) => (
                <InstanceRow key={instance.id} instance={instance} live={false} slug={project.slug} onLogs={() => setShown(instance)} />
              ))}
            </ul>
          </Card>
        </details>
      ) : null}
      <InstanceLogs instance={shown} onClose={() => setShown(null)} />
    </>
  )
}
