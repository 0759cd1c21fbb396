'use client'
import type { Unsubscribable } from '@trpc/server/observable'
import { useState } from 'react'
import { type LiveHandlers, type LiveState, useResumedSubscription } from '@/app/lib/use-subscription'
import type { LogLineView } from '@/shared/views'
import { LogBuffer } from './log-buffer'

/** Shape of a `tracked` event of tRPC. */
interface TrackedLine {
  id: string
  data: LogLineView
}
type LineHandlers = Omit<LiveHandlers, 'onData'> & { onData: (event: TrackedLine) => void }

/** Streams the lines of a log and resumes after a lost connection. `key` identifies the log; a new key starts with an empty log. */
export function useLiveLog(
  key: string,
  open: (lastEventId: string | undefined, handlers: LineHandlers) => Unsubscribable,
): { buffer: LogBuffer; state: LiveState } {
  const [held, setHeld] = useState(() => ({ key, buffer: new LogBuffer() }))
  let current = held
  if (held.key !== key) {
    current = { key, buffer: new LogBuffer() }
    setHeld(current)
  }
  const { buffer } = current
  const state = useResumedSubscription(key, (handlers) =>
    open(buffer.lastId, {
      ...handlers,
      onData: (event) => {
        handlers.onData()
        buffer.append(event.data)
      },
    }),
  )
  return { buffer, state }
}
