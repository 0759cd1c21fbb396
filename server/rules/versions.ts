import { createHash } from 'node:crypto'
import { AppError } from '@/shared/errors'

/** Digest of each field that is set. An editor sends the digests back, so that an edit of an outdated state is detected. */
export function versionsOf(stored: unknown): Record<string, string> {
  const fields = typeof stored === 'object' && stored !== null ? Object.entries(stored) : []
  return Object.fromEntries(fields.map(([field, value]) => [field, digestOf(value)]))
}

/** Postgres JSONB normalizes the order of keys, so equal values have equal digests. */
export const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)

/**
 * Refuses an edit based on an outdated state: lists are saved whole and would overwrite a concurrent change.
 * @throws ERR_CONFLICT when a field differs from its digest in `based`; '' means that the field was not set
 */
export function refuseStale(stored: unknown, based: Readonly<Record<string, string>> | undefined): void {
  const now = versionsOf(stored)
  const stale = Object.entries(based ?? {}).filter(([field, version]) => version !== (now[field] ?? ''))
  if (stale.length === 0) return
  throw new AppError('ERR_CONFLICT', `Somebody else has changed ${stale.map(([field]) => field).join(', ')} since you began; nothing was saved.`, {
    nextAction: 'Look at what is set now. Save once more to replace it with yours, or discard your edits.',
  })
}
