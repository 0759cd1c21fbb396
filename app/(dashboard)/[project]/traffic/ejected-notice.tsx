'use client'
import { useQuery } from '@tanstack/react-query'
import { TriangleAlert } from 'lucide-react'
import { PageLink } from '@/app/components/ui/page-link'
import { RelativeTime } from '@/app/components/ui/time'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'

/** Notice while the routers have ejected a running instance because its requests failed. */
export function EjectedNotice({ projectId, slug }: { projectId: string; slug: string }) {
  const trpc = useTRPC()
  const { data: events } = useQuery(trpc.traffic.targetEvents.queryOptions({ project: projectId }))
  const { data: instances } = useQuery(trpc.instances.list.queryOptions({ project: projectId }))
  const running = new Set(instances?.items.filter(({ state }) => state !== 'stopped').map(({ id }) => id))
  // Events are newest first: the first event of an instance is its current state.
  const last = new Map([...(events?.items ?? [])].reverse().map((event) => [event.instanceId, event]))
  const ejected = [...last.values()].filter((event) => event.state === 'ejected' && running.has(event.instanceId))
  if (ejected.length === 0) return null
  return (
    <div role="status" className="mb-4 rounded-xl border border-warn/30 bg-warn-soft px-4 py-3 text-sm sm:px-5">
      {ejected.map((event) => (
        <p key={event.id} className="flex items-start gap-2">
          <TriangleAlert className="mt-0.5 size-4 shrink-0 text-warn" aria-hidden />
          <span className="min-w-0">
            <span className="font-medium">An instance is out of the rotation:</span> it {event.reason} (
            <RelativeTime value={event.at} />
            ). The others serve; it is tried again by itself.{' '}
            <PageLink href={paths.instances(slug)} className="font-mono text-xs underline underline-offset-2">
              {event.instanceId}
            </PageLink>
          </span>
        </p>
      ))}
    </div>
  )
}
