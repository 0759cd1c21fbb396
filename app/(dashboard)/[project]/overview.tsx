'use client'
import { useQuery } from '@tanstack/react-query'
import { RotateCcw } from 'lucide-react'
import { BuildOptions } from '@/app/components/build-options'
import { DeploymentRow } from '@/app/components/deployment-row'
import { PageTitle } from '@/app/components/page-title'
import { ReleaseButton, ReleaseMenu } from '@/app/components/release/release-menu'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { useDeploy } from '@/app/components/use-deploy'
import { wireErrorOf } from '@/app/lib/errors'
import { frameworkLabel, repositoryLabel } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentSummary, ProjectView } from '@/shared/views'
import { LiveCard } from './live-card'
import { NotLiveCard } from './not-live-card'
import { RoutingProblems } from './routing-problems'
import { useEnvironments } from './use-environments'
import { useProject } from './use-project'

/** Shown above the live card when the newest deployment failed: the live version is older. */
function FailedAttempt({ latest, project }: { latest: DeploymentSummary | undefined; project: ProjectView }) {
  if (!latest?.error || deploymentTraits[latest.status].tone !== 'bad' || !project.liveDeployment) return null
  return (
    <ErrorPanel
      className="mb-4"
      title="The newest deployment failed"
      error={latest.error}
      actions={
        <Button asChild size="sm">
          <PageLink href={paths.deployment(project.slug, latest.id)}>See its log</PageLink>
        </Button>
      }
    />
  )
}

function RecentDeployments({ project, items, pending }: { project: ProjectView; items: DeploymentSummary[]; pending: boolean }) {
  return (
    <Card className="mt-6">
      <CardHeader
        title="Recent deployments"
        actions={
          <PageLink href={paths.projectDeployments(project.slug)} className="text-muted text-sm hover:text-fg">
            View all
          </PageLink>
        }
      />
      <div className="border-t">
        {pending ? <SkeletonRows count={3} className="h-[4.25rem]" /> : null}
        <ul className="divide-y">
          {items.map((deployment) => (
            <DeploymentRow key={deployment.id} deployment={deployment} />
          ))}
        </ul>
        {!pending && items.length === 0 ? <p className="px-4 py-6 text-muted sm:px-5">Nothing has been deployed yet.</p> : null}
      </div>
    </Card>
  )
}

/** Overview of a project: live deployment, instances, recent deployments. */
export function Overview() {
  const trpc = useTRPC()
  const project = useProject()
  const { liveDeployment: live } = project
  const { deploy, redeploy, pending } = useDeploy()
  const deployments = useQuery(trpc.deployments.list.queryOptions({ projectId: project.id, limit: 6 }))
  const items = deployments.data?.items ?? []
  const production = useEnvironments().data?.items.find(({ kind }) => kind === 'production')
  const running = items.find((deployment) => deploymentTraits[deployment.status].running)
  const source = project.repository ? repositoryLabel(project.repository) : 'Deployed from a folder'
  return (
    <>
      <PageTitle
        title={project.name}
        description={
          <span className="break-all">
            {source}
            {project.framework ? ` · ${frameworkLabel(project.framework)}` : ''}
          </span>
        }
        actions={
          live ? (
            <>
              <Button
                pending={pending}
                onClick={() => redeploy(live)}
                disabled={running !== undefined}
                title={running ? 'A deployment is running' : 'Builds the live version again with the current variables and settings'}
              >
                <RotateCcw /> Redeploy
              </Button>
              <BuildOptions disabled={pending || running !== undefined} onWithoutCache={() => redeploy(live, { noCache: true })} />
              <ReleaseButton kind="rollback" label="Roll back" deployment={production?.rollbackTo ?? null} reason="There is no earlier version yet" />
              <ReleaseMenu deployment={live} />
            </>
          ) : null
        }
      />
      {deployments.error ? <ErrorPanel className="mb-4" error={wireErrorOf(deployments.error)} /> : null}
      <RoutingProblems project={project} linked />
      <FailedAttempt latest={items[0]} project={project} />
      {live ? (
        <LiveCard project={project} deployment={live} />
      ) : (
        <NotLiveCard project={project} latest={items[0]} pending={pending} onDeploy={() => deploy(project.id)} onRedeploy={redeploy} />
      )}
      <RecentDeployments project={project} items={items} pending={deployments.isPending} />
    </>
  )
}
