import type { z } from 'zod'
import { tableHeadSchema, tablePartSchema } from '@/shared/node/route-table-schema'
import type { RouteTable, TableHead, TablePart } from '@/shared/route-table'

/** Most of what is wrong with a table is wrong with many routes: so many faults are named. */
const namedFaults = 5

/** Checks the head of a table. @throws Error that names the first few faults: a bad table must never replace a good one. */
export const checkHead = (input: unknown): TableHead => parsed(tableHeadSchema, input)

/**
 * Checks one part of a table. `before`: how many routes and certificates came before it, so that faults name their place in the table.
 * @throws as `checkHead`.
 */
export const checkPart = (input: unknown, before: { routes: number; certificates: number }): TablePart => parsed(tablePartSchema, input, before)

function parsed<T>(schema: z.ZodType<T>, input: unknown, before?: Readonly<Record<string, number>>): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const faults = result.error.issues.slice(0, namedFaults).map(({ path, message }) => {
    const [list, index, ...rest] = path
    const place = typeof index === 'number' ? [list, index + (before?.[String(list)] ?? 0), ...rest] : path
    return `${place.join('.') || 'table'}: ${message}`
  })
  throw new Error(`invalid route table: ${faults.join('; ')}`)
}

/**
 * Whether `next` is to replace `current`. Versions only grow; a database restored from a backup starts lower again, which its later
 * date tells apart from a message that was late.
 */
export function supersedes(next: Pick<RouteTable, 'version' | 'generatedAt'>, current: Pick<RouteTable, 'version' | 'generatedAt'>): boolean {
  return next.version > current.version || Date.parse(next.generatedAt) > Date.parse(current.generatedAt)
}
