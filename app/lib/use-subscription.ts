'use client'
import type { Unsubscribable } from '@trpc/server/observable'
import { useEffect, useRef, useState } from 'react'
import { wireErrorOf } from './errors'

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'ended' | 'refused'

export interface LiveHandlers {
  onStarted: () => void
  onData: () => void
  onComplete: () => void
  onError: (error: unknown) => void
  onConnectionStateChange: (change: { state: string }) => void
}

const firstRetryMs = 500
const longestRetryMs = 10_000

/**
 * Keeps a server-sent event stream open while the tab is visible, and reconnects after a lost connection. A hidden tab closes its stream,
 * because a browser opens at most six HTTP/1.1 connections per host for all tabs.
 * `open` is called for each attempt, so that it can resume after the last event.
 */
export function useResumedSubscription(key: string | null, open: (handlers: LiveHandlers) => Unsubscribable): LiveState {
  const [state, setState] = useState<LiveState>('connecting')
  const openRef = useRef(open)
  openRef.current = open

  useEffect(() => {
    if (key === null) return
    let current: Unsubscribable | null = null
    let retry: ReturnType<typeof setTimeout> | undefined
    let failures = 0
    let over = false

    const stop = () => {
      clearTimeout(retry)
      current?.unsubscribe()
      current = null
    }
    const start = () => {
      stop()
      if (over || document.visibilityState === 'hidden') return
      current = openRef.current({
        onStarted: () => setState('live'),
        onData: () => {
          failures = 0
          setState('live')
        },
        onComplete: () => {
          over = true
          setState('ended')
        },
        onConnectionStateChange: (change) => {
          if (change.state === 'connecting') setState((before) => (before === 'live' ? 'reconnecting' : before))
          if (change.state === 'pending') setState('live')
        },
        onError: (error) => {
          const { code } = wireErrorOf(error)
          if (code === 'ERR_NOT_FOUND' || code === 'ERR_FORBIDDEN' || code === 'ERR_UNAUTHENTICATED') {
            over = true
            return setState('refused')
          }
          setState('reconnecting')
          // At most one attempt is in progress, even if a lost stream reports several errors.
          clearTimeout(retry)
          retry = setTimeout(start, Math.min(longestRetryMs, firstRetryMs * 2 ** failures++))
        },
      })
    }
    const onVisibility = () => (document.visibilityState === 'hidden' ? stop() : start())
    setState('connecting')
    start()
    document.addEventListener('visibilitychange', onVisibility)
    return () => {
      document.removeEventListener('visibilitychange', onVisibility)
      stop()
    }
  }, [key])
  return state
}
