import { LoaderCircle, Rocket, RotateCcw, TriangleAlert } from 'lucide-react'
import { CliHelp } from '@/app/components/cli-help'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { PageLink } from '@/app/components/ui/page-link'
import { paths } from '@/app/lib/paths'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentSummary, ProjectView } from '@/shared/views'

interface NotLiveCardProps {
  project: ProjectView
  latest: DeploymentSummary | undefined
  pending: boolean
  /** The newest commit of the project's branch. */
  onDeploy: () => void
  onRedeploy: (deployment: DeploymentSummary) => void
}

/** Shown while the project is not live: state of the last deployment and the next action. */
export function NotLiveCard({ project, latest, pending, onDeploy, onRedeploy }: NotLiveCardProps) {
  const deployButton = project.repository ? (
    <Button variant="primary" pending={pending} onClick={onDeploy}>
      <Rocket /> {latest ? 'Deploy newest commit' : 'Deploy'}
    </Button>
  ) : latest ? (
    <Button variant="primary" pending={pending} onClick={() => onRedeploy(latest)}>
      <RotateCcw /> Redeploy
    </Button>
  ) : null
  if (latest && deploymentTraits[latest.status].running) {
    return (
      <Card>
        <EmptyState
          icon={LoaderCircle}
          title="The first deployment is running"
          actions={
            <Button asChild variant="primary">
              <PageLink href={paths.deployment(project.slug, latest.id)}>Watch it</PageLink>
            </Button>
          }
        >
          The app will answer at its address as soon as it is healthy.
        </EmptyState>
      </Card>
    )
  }
  if (latest?.error) {
    return (
      <Card className="p-4 sm:p-5">
        <ErrorPanel
          title="The app is not live: the last deployment failed"
          error={latest.error}
          actions={
            <>
              {deployButton}
              <Button asChild>
                <PageLink href={paths.deployment(project.slug, latest.id)}>See its log</PageLink>
              </Button>
            </>
          }
        />
      </Card>
    )
  }
  return (
    <Card>
      <EmptyState icon={latest ? TriangleAlert : Rocket} title={latest ? 'Nothing is live' : 'Not deployed yet'} actions={deployButton}>
        {project.repository
          ? 'Start a deployment of the newest commit. Nothing is served until it is healthy.'
          : 'This project has no repository. Deploy a folder from a terminal:'}
      </EmptyState>
      {project.repository ? null : (
        <div className="mx-auto max-w-xl px-4 pb-10 sm:px-6">
          <CliHelp project={project.slug} />
        </div>
      )}
    </Card>
  )
}
