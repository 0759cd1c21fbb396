'use client'
import { useQuery } from '@tanstack/react-query'
import { ExternalLink } from 'lucide-react'
import type { ReactNode } from 'react'
import { DeploymentSource } from '@/app/components/deployment-source'
import { LiveStatus } from '@/app/components/live-status'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { CopyButton } from '@/app/components/ui/copy-button'
import { PageLink } from '@/app/components/ui/page-link'
import { Skeleton } from '@/app/components/ui/skeleton'
import { InstanceStatus } from '@/app/components/ui/status'
import { RelativeTime } from '@/app/components/ui/time'
import { deploymentTitle, formatBytes, hostOf, isServedFromFiles } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { DeploymentSummary, ProjectView } from '@/shared/views'

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-faint text-sm">{term}</dt>
      <dd className="mt-0.5 min-w-0">{children}</dd>
    </div>
  )
}

function InstanceSummary({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const instances = useQuery(trpc.instances.list.queryOptions({ project: project.id }))
  const present = instances.data?.items.filter((instance) => instance.state !== 'stopped') ?? []
  return (
    <div className="border-t p-4 sm:p-5 lg:border-t-0 lg:border-l">
      <div className="mb-3 flex items-center justify-between">
        <h2 className="font-medium">Instances</h2>
        <PageLink href={paths.instances(project.slug)} className="text-muted text-sm hover:text-fg">
          Details
        </PageLink>
      </div>
      {instances.isPending ? <Skeleton className="h-12" /> : null}
      {instances.data && present.length === 0 ? (
        <p className="text-muted">
          {isServedFromFiles(project) ? 'Static files: the routers serve them without an instance.' : 'No instance is running.'}
        </p>
      ) : null}
      <ul className="flex flex-col gap-2">
        {present.map((instance) => (
          <li key={instance.id} className="flex items-center justify-between gap-3 rounded-lg border bg-sunken px-3 py-2">
            <InstanceStatus state={instance.state} />
            <span className="truncate text-muted text-sm tabular-nums">
              {instance.slot} · {instance.runtime}
              {instance.stats ? ` · ${formatBytes(instance.stats.memoryBytes)}` : ''}
            </span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** Custom domains, served domains first; a link leads to the remaining domains. */
function DomainSummary({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const { data: all } = useQuery(trpc.domains.list.queryOptions({ project: project.id, limit: 100 }))
  const { data: verified } = useQuery(trpc.domains.list.queryOptions({ project: project.id, state: 'verified', limit: 100 }))
  const domains = all?.items ?? []
  const first = verified?.items.find((domain) => domain.redirectTo === null && domain.kind !== 'wildcard')
  const others = domains.length - (first ? 1 : 0)
  return (
    <Fact term="Domains">
      {first ? (
        <a href={first.url} target="_blank" rel="noreferrer" className="block truncate font-medium hover:text-accent-text">
          {first.displayName}
        </a>
      ) : null}
      <PageLink href={paths.domains(project.slug)} className="block truncate text-muted text-sm hover:text-fg">
        {domains.length === 0
          ? 'Add a name of your own'
          : others > 0
            ? `${others}${all?.nextCursor ? '+' : ''} ${first ? 'more' : 'not ready yet'}`
            : 'Settings and certificate'}
      </PageLink>
    </Fact>
  )
}

/** The live deployment. */
export function LiveCard({ project, deployment }: { project: ProjectView; deployment: DeploymentSummary }) {
  return (
    <Card className="grid grid-cols-1 lg:grid-cols-[minmax(0,1fr)_20rem]">
      <div className="min-w-0 p-4 sm:p-5">
        <div className="flex flex-wrap items-center justify-between gap-3">
          <LiveStatus project={project} pill />
          <Button asChild variant="primary">
            <a href={project.url} target="_blank" rel="noreferrer">
              Open app <ExternalLink />
            </a>
          </Button>
        </div>
        {project.health.message ? <p className="mt-3 text-muted">{project.health.message}</p> : null}
        <div className="mt-3 flex min-w-0 items-center gap-1">
          <a href={project.url} target="_blank" rel="noreferrer" className="truncate font-semibold text-xl tracking-tight hover:text-accent-text">
            {hostOf(project.url)}
          </a>
          <CopyButton text={project.url} label="Copy address" />
        </div>
        <dl className="mt-5 grid gap-x-8 gap-y-4 sm:grid-cols-2">
          <Fact term="Deployment">
            <PageLink href={paths.deployment(project.slug, deployment.id)} className="block truncate font-medium hover:text-accent-text">
              {deploymentTitle(deployment)}
            </PageLink>
            <DeploymentSource deployment={deployment} className="max-w-full" />
          </Fact>
          <Fact term="Live since">
            {deployment.liveAt ? <RelativeTime value={deployment.liveAt} /> : 'unknown'}
            {deployment.commitAuthor || deployment.createdBy ? (
              <span className="block truncate text-muted text-sm">by {deployment.commitAuthor ?? deployment.createdBy}</span>
            ) : null}
          </Fact>
          <Fact term="Address of this deployment">
            <a href={deployment.url} target="_blank" rel="noreferrer" className="block truncate text-sm hover:text-accent-text">
              {hostOf(deployment.url)}
            </a>
          </Fact>
          <DomainSummary project={project} />
        </dl>
      </div>
      <InstanceSummary project={project} />
    </Card>
  )
}
