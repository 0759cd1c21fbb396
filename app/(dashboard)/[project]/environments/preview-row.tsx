'use client'
import { useMutation } from '@tanstack/react-query'
import { GitBranch, GitPullRequest } from 'lucide-react'
import { toast } from 'sonner'
import { notifyFailure } from '@/app/components/notify'
import { ActionButton } from '@/app/components/permission'
import { Remaining } from '@/app/components/ui/time'
import { hostOf } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import type { EnvironmentView } from '@/shared/environments'
import { useEnvironmentsChanged } from '../use-environment-writes'
import { EnvironmentStatus } from './environment-card'
import { EnvironmentMenu } from './environment-menu'

function Approve({ environment }: { environment: EnvironmentView }) {
  const trpc = useTRPC()
  const changed = useEnvironmentsChanged()
  const approve = useMutation(
    trpc.environments.approve.mutationOptions({
      onSuccess: async () => {
        toast.success(environment.waitingCommit ? `Approved: ${environment.waitingCommit.slice(0, 7)} is deployed` : `${environment.name} approved`)
        await changed()
      },
      onError: notifyFailure,
    }),
  )
  return (
    <ActionButton
      action="environment.approve"
      size="sm"
      variant="primary"
      pending={approve.isPending}
      onClick={() => approve.mutate({ environment: environment.id, commitSha: environment.waitingCommit })}
    >
      Approve {environment.waitingCommit?.slice(0, 7)}
    </ActionButton>
  )
}

function Origin({ environment }: { environment: EnvironmentView }) {
  const { author, branch, fork, approval } = environment
  return (
    <span className="flex min-w-0 flex-wrap gap-x-3 text-muted text-sm">
      {author ? <span>by {author}</span> : null}
      {branch ? (
        <span className="inline-flex min-w-0 items-center gap-1">
          <GitBranch className="size-3.5 shrink-0" aria-hidden /> <span className="truncate">{branch}</span>
        </span>
      ) : null}
      {fork ? (
        <span className={approval ? '' : 'text-warn'}>{approval ? `fork, approved by ${approval.by}` : 'fork, waits for approval'}</span>
      ) : null}
    </span>
  )
}

/** Row of a preview: request, status, address, time to live. */
export function PreviewRow({ environment }: { environment: EnvironmentView }) {
  const { pullRequest, title, name, url, liveDeployment, expiresAt, fork, approval } = environment
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 sm:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)_auto] sm:px-5">
      <span className="min-w-0">
        <span className="flex min-w-0 items-center gap-1.5 font-medium">
          {pullRequest === null ? null : (
            <span className="inline-flex shrink-0 items-center gap-1 text-muted">
              <GitPullRequest className="size-3.5" aria-hidden /> #{pullRequest}
            </span>
          )}
          <span className="truncate">{title ?? name}</span>
        </span>
        <Origin environment={environment} />
      </span>
      <span className="order-last col-span-2 min-w-0 text-sm sm:order-none sm:col-span-1">
        <EnvironmentStatus environment={environment} />
        {liveDeployment && url ? (
          <a href={url} target="_blank" rel="noreferrer" className="block truncate text-muted hover:text-accent-text">
            {hostOf(url)}
          </a>
        ) : null}
        {expiresAt ? (
          <span className="block text-faint">
            Closes in <Remaining until={expiresAt} />
          </span>
        ) : null}
      </span>
      <span className="flex items-center gap-2">
        {fork && !approval ? <Approve environment={environment} /> : null}
        <EnvironmentMenu environment={environment} />
      </span>
    </li>
  )
}
