import { GitBranch, GitCommitHorizontal, Upload } from 'lucide-react'
import { shortSha } from '@/app/lib/format'
import type { DeploymentSummary } from '@/shared/views'

export const kindLabels: Record<DeploymentSummary['kind'], string> = {
  build: 'Build',
  rollback: 'Rollback',
  promote: 'Promotion',
  restart: 'Restart',
  redeploy: 'Redeployment',
}

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
