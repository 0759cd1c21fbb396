import { setTimeout as wait } from 'node:timers/promises'
import type { ChildProcess } from './exec'

/** Makes a child process answer the pings of its parent while its event loop runs. Costs nothing without pings. */
export function answerPings(): void {
  process.on('message', (message: unknown) => {
    // The callback receives the error of a channel that was closed meanwhile; without it, the error would be thrown.
    if (isOfType(message, 'ping') && process.connected) process.send?.({ type: 'pong' }, undefined, undefined, () => {})
  })
}

const isOfType = (message: unknown, type: string): boolean =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type

/** Whether a message is the answer to a ping. */
export const isPong = (message: unknown): boolean => isOfType(message, 'pong')

/** Resolves when the child answers. @throws when `signal` aborts first */
export function ping(child: ChildProcess, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      child.off('message', onMessage)
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const onMessage = (message: unknown) => isPong(message) && end(resolve)
    const onAbort = () => end(() => reject(signal.reason))
    if (signal.aborted) return reject(signal.reason)
    child.on('message', onMessage)
    signal.addEventListener('abort', onAbort, { once: true })
    if (child.connected) child.send({ type: 'ping' }, () => {})
  })
}

/**
 * Pings a child repeatedly; calls `onSilent` once when all pings of `silenceMs` remain unanswered. Counts pings, not clock time: after a suspend
 * of the machine or of the parent, counting starts again.
 */
export function watchForSilence(options: {
  ask: (signal: AbortSignal) => Promise<void>
  /** Read again after each ping: a starting process may get more time. */
  silenceMs: () => number
  everyMs: number
  onSilent: () => void
}): { stop(): void } {
  const { ask, silenceMs, everyMs, onSilent } = options
  const stopped = new AbortController()
  const isAnswered = (): Promise<boolean> =>
    ask(AbortSignal.any([stopped.signal, AbortSignal.timeout(everyMs)])).then(
      () => true,
      () => false,
    )
  void (async () => {
    let unanswered = 0
    while (!stopped.signal.aborted) {
      const [answered] = await Promise.all([isAnswered(), wait(everyMs, undefined, { signal: stopped.signal, ref: false }).catch(() => {})])
      unanswered = answered ? 0 : unanswered + 1
      if (unanswered * everyMs >= silenceMs() && !stopped.signal.aborted) {
        stopped.abort()
        onSilent()
      }
    }
  })()
  return { stop: () => stopped.abort() }
}
