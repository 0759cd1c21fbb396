import { Pin } from 'lucide-react'
import { DeploymentSource, kindLabels } from '@/app/components/deployment-source'
import { DeploymentCondition } from '@/app/components/live-status'
import { ReleaseMenu } from '@/app/components/release/release-menu'
import { PageLink } from '@/app/components/ui/page-link'
import { Duration, RelativeTime } from '@/app/components/ui/time'
import { deploymentTitle, environmentName, formatDuration } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentSummary } from '@/shared/views'

/** What a deployment that builds nothing is, and whether its artifact is pinned. */
function DeploymentKind({ deployment: { kind, pinned } }: { deployment: DeploymentSummary }) {
  if (kind === 'build' && !pinned) return null
  return (
    <span className="inline-flex shrink-0 items-center gap-1.5 text-muted text-sm">
      {pinned ? <Pin className="size-3.5" aria-label="Pinned" /> : null}
      {kind === 'build' ? null : kindLabels[kind]}
    </span>
  )
}

function TimeTaken({ deployment }: { deployment: DeploymentSummary }) {
  if (deploymentTraits[deployment.status].running && deployment.startedAt) return <Duration from={deployment.startedAt} to={null} />
  return <span className="tabular-nums">{deployment.durationMs === null ? '' : formatDuration(deployment.durationMs)}</span>
}

/** Row of a deployment; a click anywhere opens its page. */
export function DeploymentRow({ deployment, showProject = false }: { deployment: DeploymentSummary; showProject?: boolean }) {
  return (
    <li className="group relative grid grid-cols-[minmax(0,1fr)_auto_1.75rem] items-center gap-x-3 gap-y-0.5 px-4 py-3 transition-colors hover:bg-hover/60 sm:grid-cols-[8.5rem_1fr_5.5rem_7.5rem_1.75rem] sm:px-5">
      <span className="order-2 flex items-center gap-2 sm:order-none sm:block">
        <DeploymentCondition deployment={deployment} />
        <span className="hidden truncate text-faint text-sm sm:block">{environmentName(deployment.environment)}</span>
      </span>
      <span className="order-1 min-w-0 sm:order-none">
        <PageLink
          href={paths.deployment(deployment.projectSlug, deployment.id)}
          className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:rounded-sm focus-visible:after:outline-2 focus-visible:after:outline-accent focus-visible:after:-outline-offset-2"
        >
          {showProject ? <span className="text-muted">{deployment.projectName} / </span> : null}
          {deploymentTitle(deployment)}
        </PageLink>
        <span className="flex min-w-0 items-center gap-x-3">
          <DeploymentKind deployment={deployment} />
          <DeploymentSource deployment={deployment} className="max-w-full" />
        </span>
      </span>
      <span className="hidden text-right text-muted text-sm sm:block">
        <TimeTaken deployment={deployment} />
      </span>
      <span className="order-4 col-span-3 text-faint text-sm sm:order-none sm:col-span-1 sm:text-right">
        <RelativeTime value={deployment.createdAt} />
        {deployment.createdBy ? <span className="sm:block sm:truncate"> by {deployment.createdBy}</span> : null}
      </span>
      <span className="relative z-10 order-3 sm:order-none">
        <ReleaseMenu deployment={deployment} variant="ghost" />
      </span>
    </li>
  )
}
