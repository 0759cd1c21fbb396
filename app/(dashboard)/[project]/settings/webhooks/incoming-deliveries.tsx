'use client'
import { keepPreviousData, useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { GitPullRequest, RotateCcw } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { LoadMore } from '@/app/components/load-more'
import { notifyFailure } from '@/app/components/notify'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { PageLink } from '@/app/components/ui/page-link'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { Status, type Tone } from '@/app/components/ui/status'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { shortSha } from '@/app/lib/format'
import { pageSize } from '@/app/lib/pages'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import { forgeLabels } from '@/shared/forges'
import { type DeliveryView, type GitDecision, gitDecisions } from '@/shared/git-events'
import type { ProjectView } from '@/shared/views'

const looks: Record<GitDecision, { tone: Tone; label: string }> = {
  pending: { tone: 'progress', label: 'Pending' },
  queued: { tone: 'good', label: 'Queued' },
  waiting: { tone: 'progress', label: 'Waits' },
  ignored: { tone: 'neutral', label: 'Ignored' },
  done: { tone: 'neutral', label: 'Done' },
  failed: { tone: 'bad', label: 'Failed' },
}

function DeliveryRow({ project, delivery }: { project: ProjectView; delivery: DeliveryView }) {
  const trpc = useTRPC()
  const queryClient = useQueryClient()
  const options = (done: string) => ({
    onSuccess: async () => {
      toast.success(done)
      await queryClient.invalidateQueries({ queryKey: trpc.gitEvents.pathKey() })
    },
    onError: notifyFailure,
  })
  const replay = useMutation(trpc.gitEvents.replay.mutationOptions(options('Decided once more')))
  const approve = useMutation(trpc.gitEvents.approve.mutationOptions(options('Approved: its commit is deployed')))
  const { id, provider, event, branch, pullRequest, commitSha, decision, reason, deploymentIds, replayable, approvable, receivedAt } = delivery
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-2.5 sm:grid-cols-[7rem_minmax(0,1fr)_8rem_auto] sm:px-5">
      <Status {...looks[decision]} />
      <span className="order-last col-span-2 min-w-0 sm:order-none sm:col-span-1">
        <span className="flex min-w-0 flex-wrap items-center gap-x-3">
          <span className="font-medium">
            {forgeLabels[provider]} {event}
          </span>
          {pullRequest === null ? null : (
            <span className="inline-flex items-center gap-1 text-muted text-sm">
              <GitPullRequest className="size-3.5" aria-hidden />#{pullRequest}
            </span>
          )}
          <span className="truncate text-muted text-sm">
            {branch} {commitSha ? <span className="font-mono text-xs">{shortSha(commitSha)}</span> : null}
          </span>
        </span>
        <span className="wrap-anywhere block text-muted text-sm">
          {reason}{' '}
          {deploymentIds.map((deploymentId) => (
            <PageLink
              key={deploymentId}
              href={paths.deployment(project.slug, deploymentId)}
              className="font-mono text-accent-text text-xs hover:underline"
            >
              {deploymentId}
            </PageLink>
          ))}
        </span>
      </span>
      <RelativeTime value={receivedAt} className="hidden text-right text-faint text-sm sm:block" />
      <span className="flex items-center gap-2">
        {approvable ? (
          <ActionButton
            action="delivery.approve"
            size="sm"
            variant="primary"
            pending={approve.isPending}
            onClick={() => approve.mutate({ gitDeliveryId: id })}
          >
            Approve
          </ActionButton>
        ) : null}
        {replayable ? (
          <ActionButton
            action="delivery.replay"
            size="sm"
            pending={replay.isPending}
            onClick={() => replay.mutate({ gitDeliveryId: id })}
            aria-label={`Replay ${event} of ${id}`}
          >
            <RotateCcw /> Replay
          </ActionButton>
        ) : null}
      </span>
    </li>
  )
}

/** What the Git host has delivered and what was decided about it, newest first. */
export function IncomingDeliveries({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const [decision, setDecision] = useState<GitDecision | ''>('')
  const list = useInfiniteQuery(
    trpc.gitEvents.deliveries.infiniteQueryOptions(
      { projectId: project.id, limit: pageSize, ...(decision ? { decision } : {}) },
      { getNextPageParam: (page) => page.nextCursor, placeholderData: keepPreviousData },
    ),
  )
  const items = list.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <div>
      <Card>
        <CardHeader
          title="Incoming deliveries"
          description="Pushes and requests that the Git host announced, with what was decided and why."
          actions={
            <>
              <Button variant="ghost" size="icon" aria-label="Refresh incoming deliveries" pending={list.isRefetching} onClick={() => list.refetch()}>
                <RotateCcw />
              </Button>
              <SelectField
                label="Decision"
                labelHidden
                value={decision}
                onChange={(event) => setDecision(event.target.value as GitDecision | '')}
                className="w-36"
              >
                <option value="">All decisions</option>
                {gitDecisions.map((each) => (
                  <option key={each} value={each}>
                    {looks[each].label}
                  </option>
                ))}
              </SelectField>
            </>
          }
        />
        <div className="border-t">
          {list.error ? <ErrorPanel className="m-4" error={wireErrorOf(list.error)} /> : null}
          {list.isPending ? <SkeletonRows count={3} className="h-14" /> : null}
          {list.data && items.length === 0 ? (
            <p className="px-4 py-8 text-center text-muted">Nothing was delivered{decision ? ' with this decision' : ' yet'}.</p>
          ) : null}
          <ul className="divide-y">
            {items.map((delivery) => (
              <DeliveryRow key={delivery.id} project={project} delivery={delivery} />
            ))}
          </ul>
        </div>
      </Card>
      <LoadMore list={list} />
    </div>
  )
}
