import type { RequestView } from '@/shared/traffic'

/**
 * `fresh`, in the order it came, on top of `rows`, which are newest first. What is there already is not repeated: after a lost connection
 * a line may come twice. At most `most` rows are kept, unless older ones were asked for.
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
