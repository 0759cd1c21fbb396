import { toast } from 'sonner'
import { wireErrorOf } from '@/app/lib/errors'

/** Shows why an action failed and what to do next, when there is no place on the page for it. */
export function notifyFailure(error: unknown): void {
  const { message, stillServing, nextAction } = wireErrorOf(error)
  toast.error(message, { description: [stillServing, nextAction].filter(Boolean).join(' ') || undefined, duration: 10_000 })
}
