import type { Client } from './client'
import { UsageError } from './failure'

/** Maximum page size of the API. */
const pageSize = 100

/** Options of commands with long lists. */
export interface ListOptions {
  limit?: string
  search?: string
}

/** Parses `--limit`; without it, no limit. @throws UsageError */
export function limitOf({ limit }: ListOptions): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY
  if (/^[1-9]\d{0,5}$/.test(limit)) return Number(limit)
  throw new UsageError(`--limit ${limit} is not a number of rows.`, 'For example: --limit 50')
}

interface PageOf<T> {
  items: T[]
  nextCursor: string | null
}

/** Fetches all rows of a paginated list, or the first `limit` rows. */
export async function readPages<T>(client: Client, path: string, filter: Record<string, string | undefined>, limit: number): Promise<T[]> {
  const rows: T[] = []
  const given = Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined)
  for (let cursor: string | null = ''; cursor !== null && rows.length < limit; ) {
    const query = new URLSearchParams([...given, ['limit', String(Math.min(pageSize, limit - rows.length))], ...(cursor ? [['cursor', cursor]] : [])])
    const page: PageOf<T> = await client.call<PageOf<T>>(`${path}?${query}`)
    rows.push(...page.items)
    cursor = page.nextCursor
  }
  return rows
}
