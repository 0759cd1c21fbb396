import { toast } from 'sonner'
import { wireErrorOf } from '@/app/lib/errors'

/** Shows the error and the next action of a failed action as a toast. */
export function notifyFailure(error: unknown): void {
  const { message, stillServing, nextAction } = wireErrorOf(error)
  toast.error(message, { description: [stillServing, nextAction].filter(Boolean).join(' ') || undefined, duration: 10_000 })
}
