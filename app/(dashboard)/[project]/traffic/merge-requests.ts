import type { RequestView } from '@/shared/traffic'

/**
 * Puts `fresh` (in order of arrival) on top of `rows` (newest first), without duplicates: after a lost connection
 * a line may arrive twice. Keeps at most `most` rows, unless older rows were loaded.
 */
export function mergeNewest(fresh: readonly RequestView[], rows: readonly RequestView[], most: number): RequestView[] {
  const known = new Set(rows.map((row) => row.id))
  const added: RequestView[] = []
  for (const row of fresh) {
    if (known.has(row.id)) continue
    known.add(row.id)
    added.unshift(row)
  }
  return [...added, ...rows].slice(0, Math.max(most, rows.length))
}
