import { ExternalLink, GitBranch, Upload } from 'lucide-react'
import { hasTrouble, isClosed, LiveStatus } from '@/app/components/live-status'
import { PageLink } from '@/app/components/ui/page-link'
import { DeploymentStatusBadge, Status } from '@/app/components/ui/status'
import { RelativeTime } from '@/app/components/ui/time'
import { deploymentTitle, frameworkLabel, hostOf, repositoryLabel, shortSha } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import type { ProjectView } from '@/shared/views'

function State({ project }: { project: ProjectView }) {
  const latest = project.latestDeployment
  if (!latest) return <Status tone="neutral" label="Not deployed" />
  // The app stays live after a failed deployment: show both states.
  if (project.liveDeployment && project.liveDeployment.id !== latest.id) {
    return (
      <span className="flex flex-wrap justify-end gap-x-3">
        <DeploymentStatusBadge deployment={latest} />
        <LiveStatus project={project} />
      </span>
    )
  }
  return isClosed(project) || hasTrouble(project.health) ? <LiveStatus project={project} /> : <DeploymentStatusBadge deployment={latest} />
}

/** Card of a project: links to the project and to its app. */
export function ProjectCard({ project }: { project: ProjectView }) {
  const latest = project.latestDeployment
  const framework = frameworkLabel(project.framework)
  return (
    <li className="relative flex min-h-36 flex-col rounded-xl border bg-surface p-4 shadow-card transition-colors hover:border-line-strong">
      <div className="flex items-start justify-between gap-3">
        <div className="flex min-w-0 items-center gap-3">
          <span
            aria-hidden
            className="grid size-9 shrink-0 place-items-center rounded-lg border bg-sunken font-semibold text-base text-muted uppercase"
          >
            {project.name.slice(0, 1)}
          </span>
          <div className="min-w-0">
            <h2 className="truncate font-semibold">
              <PageLink
                href={paths.project(project.slug)}
                className="after:absolute after:inset-0 after:rounded-xl focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:outline-accent focus-visible:after:outline-offset-2"
              >
                {project.name}
              </PageLink>
            </h2>
            {project.liveDeployment ? (
              <a
                href={project.url}
                target="_blank"
                rel="noreferrer"
                className="relative z-10 flex min-w-0 items-center gap-1 text-muted text-sm hover:text-accent-text"
              >
                <span className="truncate">{hostOf(project.url)}</span>
                <ExternalLink className="size-3 shrink-0" aria-hidden />
              </a>
            ) : (
              <p className="truncate text-faint text-sm">{hostOf(project.url)}</p>
            )}
          </div>
        </div>
        <State project={project} />
      </div>
      <p className="mt-3 flex min-h-5 min-w-0 items-center gap-1.5 text-muted text-sm">
        {project.repository ? <GitBranch className="size-3.5 shrink-0" aria-hidden /> : <Upload className="size-3.5 shrink-0" aria-hidden />}
        <span className="truncate">{project.repository ? repositoryLabel(project.repository) : 'Deployed from a folder'}</span>
        {framework ? <span className="ml-auto shrink-0 rounded-full border px-2 py-px text-xs">{framework}</span> : null}
      </p>
      <p className="mt-auto flex items-baseline gap-2 pt-3 text-sm">
        {latest ? (
          <>
            <span className="min-w-0 truncate">{deploymentTitle(latest)}</span>
            {latest.commitSha ? <span className="font-mono text-faint text-xs">{shortSha(latest.commitSha)}</span> : null}
            <RelativeTime value={latest.createdAt} className="ml-auto shrink-0 text-faint" />
          </>
        ) : (
          <span className="text-faint">Open it to start the first deployment.</span>
        )}
      </p>
    </li>
  )
}
