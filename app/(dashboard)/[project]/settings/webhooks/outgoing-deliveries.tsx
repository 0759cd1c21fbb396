'use client'
import { keepPreviousData, useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query'
import { RotateCcw } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { LoadMore } from '@/app/components/load-more'
import { notifyFailure } from '@/app/components/notify'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { Skeleton, SkeletonRows } from '@/app/components/ui/skeleton'
import { Status, type Tone } from '@/app/components/ui/status'
import { RelativeTime, Remaining } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { formatDuration } from '@/app/lib/format'
import { pageSize } from '@/app/lib/pages'
import { useTRPC, useTRPCClient } from '@/app/lib/trpc'
import type { ProjectView } from '@/shared/views'
import { type DeliveryView, deliveryStates } from '@/shared/webhooks'
import { useWebhooksChanged } from './use-webhooks-changed'

const looks: Record<DeliveryView['state'], { tone: Tone; label: string }> = {
  pending: { tone: 'progress', label: 'Pending' },
  delivered: { tone: 'good', label: 'Delivered' },
  failed: { tone: 'bad', label: 'Failed' },
  canceled: { tone: 'neutral', label: 'Canceled' },
}

function indented(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}

/** Body and attempts of a delivery. */
function DeliveryDialog({ delivery, onClose }: { delivery: DeliveryView; onClose: () => void }) {
  const trpc = useTRPC()
  const detail = useQuery(trpc.webhooks.delivery.queryOptions({ deliveryId: delivery.id }))
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={delivery.kind}
      description={`To ${delivery.host}, message ${delivery.messageId}`}
      shape="wide"
    >
      {detail.isPending ? <Skeleton className="h-40" /> : null}
      {detail.error ? <ErrorPanel error={wireErrorOf(detail.error)} /> : null}
      {detail.data ? (
        <div className="flex flex-col gap-4">
          <section>
            <h3 className="mb-1 font-medium text-sm">Attempts</h3>
            {detail.data.tries.length === 0 ? <p className="text-muted">None yet.</p> : null}
            <ol className="flex flex-col gap-2">
              {detail.data.tries.map(({ at, durationMs, status, error, response }) => (
                <li key={at} className="rounded-lg border bg-sunken px-3 py-2 text-sm">
                  <p className="flex flex-wrap gap-x-3">
                    <span className="font-medium">{status === null ? 'No answer' : `Status ${status}`}</span>
                    <span className="text-muted">{formatDuration(durationMs)}</span>
                    <RelativeTime value={at} className="ml-auto text-faint" />
                  </p>
                  {error ? <p className="wrap-anywhere text-bad">{error}</p> : null}
                  {response ? <pre className="mt-1 max-h-24 overflow-auto font-mono text-xs">{response}</pre> : null}
                </li>
              ))}
            </ol>
          </section>
          <section>
            <h3 className="mb-1 font-medium text-sm">Body</h3>
            <pre className="max-h-64 overflow-auto rounded-lg border bg-console px-3 py-2 font-mono text-xs">{indented(detail.data.body)}</pre>
          </section>
        </div>
      ) : null}
    </Dialog>
  )
}

function DeliveryRow({ delivery }: { delivery: DeliveryView }) {
  const trpc = useTRPC()
  const changed = useWebhooksChanged()
  const [open, setOpen] = useState(false)
  const replay = useMutation(
    trpc.webhooks.replay.mutationOptions({
      onSuccess: async () => {
        toast.success('Sent again under the same id')
        await changed()
      },
      onError: notifyFailure,
    }),
  )
  const { kind, host, state, attempts, lastAttempt, nextAttemptAt, replayOf, createdAt } = delivery
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-2.5 sm:grid-cols-[7rem_minmax(0,1fr)_9rem_auto] sm:px-5">
      <Status {...looks[state]} />
      <span className="order-last col-span-2 min-w-0 sm:order-none sm:col-span-1">
        <button
          type="button"
          onClick={() => setOpen(true)}
          className="max-w-full truncate text-left font-medium font-mono text-sm hover:text-accent-text"
        >
          {kind}
        </button>
        <span className="block truncate text-muted text-sm">
          {host}
          {replayOf ? ' · replay' : ''}
          {lastAttempt ? ` · ${lastAttempt.status === null ? 'no answer' : `status ${lastAttempt.status}`}` : ''}
          {attempts > 1 ? ` · ${attempts} attempts` : ''}
          {state === 'pending' && nextAttemptAt ? (
            <>
              {' · next in '}
              <Remaining until={nextAttemptAt} />
            </>
          ) : null}
        </span>
      </span>
      <RelativeTime value={createdAt} className="hidden text-right text-faint text-sm sm:block" />
      <ActionButton
        action="webhook-delivery.replay"
        size="sm"
        pending={replay.isPending}
        onClick={() => replay.mutate({ deliveryId: delivery.id })}
        aria-label={`Replay ${kind} of ${delivery.id}`}
      >
        <RotateCcw /> Replay
      </ActionButton>
      {open ? <DeliveryDialog delivery={delivery} onClose={() => setOpen(false)} /> : null}
    </li>
  )
}

/** What was sent, newest first. */
export function OutgoingDeliveries({ project }: { project: ProjectView }) {
  const trpc = useTRPC()
  const [state, setState] = useState<DeliveryView['state'] | ''>('')
  const client = useTRPCClient()
  const filter = { projectId: project.id, limit: pageSize, ...(state ? { state } : {}) }
  // Not `infiniteQueryOptions`: it sends a field `direction` of its own, and this list has one with another meaning.
  const list = useInfiniteQuery({
    queryKey: [...trpc.webhooks.deliveries.queryKey(filter), 'pages'],
    queryFn: ({ pageParam, signal }) => client.webhooks.deliveries.query({ ...filter, ...(pageParam ? { cursor: pageParam } : {}) }, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
    placeholderData: keepPreviousData,
  })
  const items = list.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <div>
      <Card>
        <CardHeader
          title="Outgoing deliveries"
          description="Each message with its attempts. A replay has the same id, so that a receiver can tell."
          actions={
            <>
              <Button variant="ghost" size="icon" aria-label="Refresh" pending={list.isRefetching} onClick={() => list.refetch()}>
                <RotateCcw />
              </Button>
              <SelectField
                label="State"
                labelHidden
                value={state}
                onChange={(event) => setState(event.target.value as DeliveryView['state'] | '')}
                className="w-36"
              >
                <option value="">All states</option>
                {deliveryStates.map((each) => (
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
            <p className="px-4 py-8 text-center text-muted">Nothing was sent{state ? ' in this state' : ' yet'}.</p>
          ) : null}
          <ul className="divide-y">
            {items.map((delivery) => (
              <DeliveryRow key={delivery.id} delivery={delivery} />
            ))}
          </ul>
        </div>
      </Card>
      <LoadMore list={list} />
    </div>
  )
}
