'use client'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useTRPCClient } from '@/app/lib/trpc'
import { type LiveState, useResumedSubscription } from '@/app/lib/use-subscription'
import type { RequestFilter, RequestView } from '@/shared/traffic'
import { mergeNewest } from './merge-requests'

/** Maximum number of rows on the page. */
const maxRows = 500
/** Requests within this time are rendered together. */
const drawEveryMs = 150

/** Streams requests, newest first, and resumes after a lost connection. While `paused`, the stream is closed. */
export function useLiveRequests(projectId: string, filter: RequestFilter, paused: boolean) {
  const client = useTRPCClient()
  const key = JSON.stringify([projectId, filter])
  const [held, setHeld] = useState<{ key: string; rows: RequestView[] }>({ key, rows: [] })
  const waiting = useRef<RequestView[]>([])
  const lastId = useRef<string | undefined>(undefined)
  const heldKey = useRef(key)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  if (heldKey.current !== key) {
    heldKey.current = key
    waiting.current = []
    lastId.current = undefined
  }
  const draw = useCallback(() => {
    timer.current = undefined
    const fresh = waiting.current
    const forKey = heldKey.current
    waiting.current = []
    setHeld((before) => ({ key: forKey, rows: mergeNewest(fresh, before.key === forKey ? before.rows : [], maxRows) }))
  }, [])
  useEffect(() => () => clearTimeout(timer.current), [])

  const state: LiveState = useResumedSubscription(paused ? null : key, (handlers) =>
    client.traffic.follow.subscribe(
      { project: projectId, ...filter, lastEventId: lastId.current },
      {
        ...handlers,
        onData: (event: { id: string; data: RequestView }) => {
          handlers.onData()
          lastId.current = event.id
          waiting.current.push(event.data)
          timer.current ??= setTimeout(draw, drawEveryMs)
        },
      },
    ),
  )
  const rows = held.key === key ? held.rows : []
  const older = useCallback(
    async (cursor: string): Promise<boolean> => {
      const page = await client.traffic.requests.query({ project: projectId, ...filter, limit: 100, cursor })
      setHeld((before) => (before.key === key ? { key, rows: [...before.rows, ...page.items] } : before))
      return page.nextCursor !== null
    },
    [client, projectId, filter, key],
  )
  return { rows, state, older }
}
