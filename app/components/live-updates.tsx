'use client'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { useTRPC, useTRPCClient } from '@/app/lib/trpc'
import { useResumedSubscription } from '@/app/lib/use-subscription'

/** Several changes in a burst are one refetch. */
const burstMs = 120
/** Kinds that no view of a project holds. */
const besideProjects = new Set(['variable', 'domain'])
/** A connection that is back at once is nobody's business. */
const announceAfterMs = 2500

/** Refetches what a change on the server made stale, and says so when the server cannot be reached. */
export function LiveUpdates() {
  const trpc = useTRPC()
  const client = useTRPCClient()
  const queryClient = useQueryClient()
  const pending = useRef(new Set<string>())
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const opened = useRef(0)

  const refetchSoon = (kinds: string[]) => {
    for (const kind of kinds) pending.current.add(kind)
    timer.current ??= setTimeout(() => {
      const changed = pending.current
      pending.current = new Set()
      timer.current = undefined
      // A project's view holds its live deployment: it is stale after every kind that does not stand beside it.
      if ([...changed].some((kind) => !besideProjects.has(kind))) void queryClient.invalidateQueries({ queryKey: trpc.projects.pathKey() })
      // The view of a deployment holds the health of its instances.
      if (changed.has('deployment') || changed.has('instance')) void queryClient.invalidateQueries({ queryKey: trpc.deployments.pathKey() })
      // Rules are the project's own, laid over those of the live deployment's files.
      if (changed.has('project') || changed.has('deployment')) void queryClient.invalidateQueries({ queryKey: trpc.rules.pathKey() })
      if (changed.has('instance') || changed.has('deployment')) void queryClient.invalidateQueries({ queryKey: trpc.instances.pathKey() })
      // The routers took it out of the rotation, or back.
      if (changed.has('instance')) void queryClient.invalidateQueries({ queryKey: trpc.traffic.targetEvents.queryKey() })
      if (changed.has('domain') || changed.has('project')) {
        void queryClient.invalidateQueries({ queryKey: trpc.domains.pathKey() })
        // A certificate's changes are told as its domain's.
        void queryClient.invalidateQueries({ queryKey: trpc.certificates.pathKey() })
      }
      if (changed.has('variable')) void queryClient.invalidateQueries({ queryKey: trpc.variables.pathKey() })
    }, burstMs)
  }

  const state = useResumedSubscription('changes', (handlers) =>
    client.changes.subscribe(undefined, {
      ...handlers,
      onStarted: () => {
        handlers.onStarted()
        // Changes while nobody listened were missed.
        if (opened.current++ > 0) refetchSoon(['project', 'deployment', 'instance', 'variable', 'domain'])
      },
      onData: (event) => {
        handlers.onData()
        refetchSoon(['data' in event ? (event.data as { kind: string }).kind : event.kind])
      },
    }),
  )
  useEffect(() => () => clearTimeout(timer.current), [])

  const [announced, setAnnounced] = useState(false)
  useEffect(() => {
    if (state !== 'reconnecting') return setAnnounced(false)
    const wait = setTimeout(() => setAnnounced(true), announceAfterMs)
    return () => clearTimeout(wait)
  }, [state])

  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed inset-x-0 bottom-4 z-30 flex justify-center">
      {announced ? (
        <p className="rounded-full border border-warn/30 bg-warn-soft px-3.5 py-1.5 font-medium text-sm text-warn shadow-pop">
          Connection to the control plane lost. Reconnecting… Running apps keep serving.
        </p>
      ) : null}
    </div>
  )
}
