import { AppError } from '@/shared/errors'

export interface Page {
  limit: number
  /** Id of the last row of the previous page. */
  cursor?: string | undefined
}

/** Prisma arguments of a page, with an extra row that shows whether another page follows. */
export const pageArguments = ({ limit, cursor }: Page) => ({ take: limit + 1, ...(cursor === undefined ? {} : { cursor: { id: cursor }, skip: 1 }) })

/** Splits the rows of a `pageArguments` query into the page and the next cursor. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[], limit: number): { rows: Row[]; nextCursor: string | null } {
  const page = rows.slice(0, limit)
  return { rows: page, nextCursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null }
}

/**
 * Refuses a cursor whose row was deleted: the list would end early and look complete. `count` must be scoped to the team.
 * @throws ERR_INVALID_INPUT
 */
export async function requireCursor({ cursor }: Page, count: (id: string) => Promise<number>): Promise<void> {
  if (cursor === undefined || (await count(cursor)) > 0) return
  throw new AppError('ERR_INVALID_INPUT', 'The row after which this page begins is not there any more.', {
    nextAction: 'Begin with the first page again.',
  })
}

/** Escapes LIKE wildcards, which Prisma does not escape. */
export const literal = (text: string): string => text.replace(/[\\%_]/g, '\\$&')
