'use client'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { useTRPC, useTRPCClient } from '@/app/lib/trpc'
import { useResumedSubscription } from '@/app/lib/use-subscription'

/** Changes within this time cause a single refetch. */
const burstMs = 120
/** Kinds of changes that do not affect the view of a project. */
const besideProjects = new Set(['variable', 'domain', 'git-delivery'])
/** Show the notice only when the connection is lost for longer than this. */
const announceAfterMs = 2500

/** Refetches queries after changes on the server, and shows a notice when the server is unreachable. */
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
      // A project's view contains its live deployment: every kind except those above makes it stale.
      if ([...changed].some((kind) => !besideProjects.has(kind))) void queryClient.invalidateQueries({ queryKey: trpc.projects.pathKey() })
      // The view of a deployment contains the health of its instances.
      if (changed.has('deployment') || changed.has('instance')) void queryClient.invalidateQueries({ queryKey: trpc.deployments.pathKey() })
      // The rules view merges rules of the project with rules in files of the live deployment.
      if (changed.has('project') || changed.has('deployment')) void queryClient.invalidateQueries({ queryKey: trpc.rules.pathKey() })
      // The view of an environment contains its live deployment and that deployment's health.
      if (['project', 'deployment', 'instance'].some((kind) => changed.has(kind)))
        void queryClient.invalidateQueries({ queryKey: trpc.environments.pathKey() })
      // A push that arrives queues a deployment.
      if (changed.has('deployment') || changed.has('project')) void queryClient.invalidateQueries({ queryKey: trpc.gitEvents.pathKey() })
      if (changed.has('instance') || changed.has('deployment')) void queryClient.invalidateQueries({ queryKey: trpc.instances.pathKey() })
      // The routers ejected an instance or brought it back.
      if (changed.has('instance')) void queryClient.invalidateQueries({ queryKey: trpc.traffic.targetEvents.queryKey() })
      if (changed.has('domain') || changed.has('project')) {
        void queryClient.invalidateQueries({ queryKey: trpc.domains.pathKey() })
        // A change of a certificate is announced as a change of its domain.
        void queryClient.invalidateQueries({ queryKey: trpc.certificates.pathKey() })
      }
      if (changed.has('git-delivery')) void queryClient.invalidateQueries({ queryKey: trpc.gitEvents.pathKey() })
      if (changed.has('variable')) void queryClient.invalidateQueries({ queryKey: trpc.variables.pathKey() })
    }, burstMs)
  }

  const state = useResumedSubscription('changes', (handlers) =>
    client.changes.subscribe(undefined, {
      ...handlers,
      onStarted: () => {
        handlers.onStarted()
        // Changes during the lost connection were missed: refetch everything.
        if (opened.current++ > 0) refetchSoon(['project', 'deployment', 'instance', 'variable', 'domain', 'git-delivery'])
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
