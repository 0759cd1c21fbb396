import { DeploymentCondition } from '@/app/components/live-status'
import { PageLink } from '@/app/components/ui/page-link'
import { RelativeTime } from '@/app/components/ui/time'
import { deploymentTitle } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import type { DeploymentSummary } from '@/shared/views'

/** Recent deployments of all projects. */
export function Activity({ deployments }: { deployments: DeploymentSummary[] }) {
  return (
    <section aria-labelledby="activity" className="min-w-0">
      <div className="mb-4 flex h-9 items-center justify-between">
        <h2 id="activity" className="font-medium">
          Recent deployments
        </h2>
        <PageLink href={paths.deployments} className="text-muted text-sm hover:text-fg">
          View all
        </PageLink>
      </div>
      {deployments.length === 0 ? <p className="text-muted">Nothing has been deployed yet.</p> : null}
      <ol className="flex flex-col">
        {deployments.map((deployment) => (
          <li key={deployment.id} className="relative border-t py-2.5 first:border-t-0 first:pt-0">
            <div className="flex items-center justify-between gap-3">
              <PageLink
                href={paths.deployment(deployment.projectSlug, deployment.id)}
                className="truncate font-medium after:absolute after:inset-0 hover:text-accent-text"
              >
                {deployment.projectName}
              </PageLink>
              <DeploymentCondition deployment={deployment} />
            </div>
            <p className="flex gap-2 text-muted text-sm">
              <span className="truncate">{deploymentTitle(deployment)}</span>
              <RelativeTime value={deployment.createdAt} className="ml-auto shrink-0 text-faint" />
            </p>
          </li>
        ))}
      </ol>
    </section>
  )
}
