import { AppError } from '@/shared/errors'

export interface Page {
  limit: number
  /** Id of the last row of the page before. */
  cursor?: string | undefined
}

/** One row more than was asked for tells whether there is another page. */
export const pageArguments = ({ limit, cursor }: Page) => ({ take: limit + 1, ...(cursor === undefined ? {} : { cursor: { id: cursor }, skip: 1 }) })

/** What `pageArguments` found, as the page that was asked for. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[], limit: number): { rows: Row[]; nextCursor: string | null } {
  const page = rows.slice(0, limit)
  return { rows: page, nextCursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null }
}

/**
 * A list that ends early because the row it would go on after was removed looks like a whole one. `count` looks within the team.
 * @throws ERR_INVALID_INPUT
 */
export async function requireCursor({ cursor }: Page, count: (id: string) => Promise<number>): Promise<void> {
  if (cursor === undefined || (await count(cursor)) > 0) return
  throw new AppError('ERR_INVALID_INPUT', 'The row after which this page begins is not there any more.', {
    nextAction: 'Begin with the first page again.',
  })
}

/** Text that a LIKE takes for nothing but letters: Prisma passes its wildcards on. */
export const literal = (text: string): string => text.replace(/[\\%_]/g, '\\$&')
