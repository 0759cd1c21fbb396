import type { z } from 'zod'
import { tableHeadSchema, tablePartSchema } from '@/shared/node/route-table-schema'
import type { RouteTable, TableHead, TablePart } from '@/shared/route-table'

/** Maximum faults named: a fault of a table usually affects many routes. */
const namedFaults = 5

/** Validates the head of a table. @throws Error that names the first few faults: an invalid table must never replace a valid one. */
export const checkHead = (input: unknown): TableHead => parsed(tableHeadSchema, input)

/**
 * Validates one part of a table. `before`: number of earlier routes and certificates, so that faults name the position in the table.
 * @throws like `checkHead`.
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
 * Whether `next` supersedes `current`. Versions only grow, except after a database restore, when they restart lower: the later date then
 * distinguishes the table from a delayed message.
 */
export function supersedes(next: Pick<RouteTable, 'version' | 'generatedAt'>, current: Pick<RouteTable, 'version' | 'generatedAt'>): boolean {
  return next.version > current.version || Date.parse(next.generatedAt) > Date.parse(current.generatedAt)
}
