import { createHash } from 'node:crypto'
import { AppError } from '@/shared/errors'

/** Each field that is set, by a digest of what it says: who edits one says by it which state they had before their eyes. */
export function versionsOf(stored: unknown): Record<string, string> {
  const fields = typeof stored === 'object' && stored !== null ? Object.entries(stored) : []
  return Object.fromEntries(fields.map(([field, value]) => [field, digestOf(value)]))
}

/** The database gives an object's keys back in one order, whoever wrote them. */
export const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)

/**
 * Lists are saved whole: who began to edit before somebody else's change would take it back without knowing.
 * @throws ERR_CONFLICT when a field says something else than `based`; '' stands for one that was not set
 */
export function refuseStale(stored: unknown, based: Readonly<Record<string, string>> | undefined): void {
  const now = versionsOf(stored)
  const stale = Object.entries(based ?? {}).filter(([field, version]) => version !== (now[field] ?? ''))
  if (stale.length === 0) return
  throw new AppError('ERR_CONFLICT', `Somebody else has changed ${stale.map(([field]) => field).join(', ')} since you began; nothing was saved.`, {
    nextAction: 'Look at what is set now. Save once more to replace it with yours, or discard your edits.',
  })
}
