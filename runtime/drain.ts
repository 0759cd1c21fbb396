import { setTimeout as sleep } from 'node:timers/promises'
import { withDeadline } from '@/shared/node/deadline'
import type { Runtime } from './driver'

const defaultPollMs = 50
const askDeadlineMs = 2_000

/** Waits until no request is in flight, at most `deadlineMs`. If the count is unavailable, requests are assumed to be in flight. */
export const drain: Runtime['drain'] = async ({ inFlight, deadlineMs, pollMs = defaultPollMs, signal }) => {
  const began = performance.now()
  const waited = () => Math.round(performance.now() - began)
  while (!signal?.aborted) {
    const left = deadlineMs - waited()
    const count = await withDeadline('the count of requests in flight', Math.max(1, Math.min(askDeadlineMs, left)), inFlight, signal).catch(
      () => null,
    )
    if (count === 0) return { drained: true, waitedMs: waited() }
    if (left <= 0) break
    await sleep(Math.min(pollMs, left), undefined, signal ? { signal } : {}).catch(() => {})
  }
  return { drained: false, waitedMs: waited() }
}
