import { GitBranch, GitCommitHorizontal, Upload } from 'lucide-react'
import { DeploymentCondition } from '@/app/components/live-status'
import { PageLink } from '@/app/components/ui/page-link'
import { Duration, RelativeTime } from '@/app/components/ui/time'
import { deploymentTitle, formatDuration, shortSha } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentSummary } from '@/shared/views'

/** Branch and commit of a deployment, or "uploaded folder". */
export function DeploymentSource({ deployment, className }: { deployment: DeploymentSummary; className?: string }) {
  const branch = deployment.branch ?? deployment.ref
  return (
    <span className={`inline-flex min-w-0 items-center gap-x-3 text-muted text-sm ${className ?? ''}`}>
      {deployment.source.kind === 'archive' ? (
        <span className="inline-flex items-center gap-1">
          <Upload className="size-3.5" aria-hidden /> CLI upload
        </span>
      ) : null}
      {branch ? (
        <span className="inline-flex min-w-0 items-center gap-1">
          <GitBranch className="size-3.5 shrink-0" aria-hidden /> <span className="truncate">{branch}</span>
        </span>
      ) : null}
      {deployment.commitSha ? (
        <span className="inline-flex items-center gap-1 font-mono text-xs">
          <GitCommitHorizontal className="size-3.5" aria-hidden /> {shortSha(deployment.commitSha)}
        </span>
      ) : null}
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
    <li className="group relative grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-0.5 px-4 py-3 transition-colors hover:bg-hover/60 sm:grid-cols-[8.5rem_1fr_5.5rem_7.5rem] sm:px-5">
      <span className="order-2 flex items-center gap-2 sm:order-none sm:block">
        <DeploymentCondition deployment={deployment} />
        <span className="hidden text-faint text-sm capitalize sm:block">{deployment.environment}</span>
      </span>
      <span className="order-1 min-w-0 sm:order-none">
        <PageLink
          href={paths.deployment(deployment.projectSlug, deployment.id)}
          className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:rounded-sm focus-visible:after:outline-2 focus-visible:after:outline-accent focus-visible:after:-outline-offset-2"
        >
          {showProject ? <span className="text-muted">{deployment.projectName} / </span> : null}
          {deploymentTitle(deployment)}
        </PageLink>
        <DeploymentSource deployment={deployment} className="max-w-full" />
      </span>
      <span className="hidden text-right text-muted text-sm sm:block">
        <TimeTaken deployment={deployment} />
      </span>
      <span className="order-3 col-span-2 text-faint text-sm sm:order-none sm:col-span-1 sm:text-right">
        <RelativeTime value={deployment.createdAt} />
        {deployment.createdBy ? <span className="sm:block sm:truncate"> by {deployment.createdBy}</span> : null}
      </span>
    </li>
  )
}
