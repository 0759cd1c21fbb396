import { routeTableSchema } from '@/shared/node/route-table-schema'
import type { RouteTable } from '@/shared/route-table'
import { HostTable } from '../match/host-table'

/** A table that proved valid, in the form it is stored and in the form it is served. */
export interface CheckedTable {
  table: RouteTable
  hosts: HostTable
}

/**
 * Checks what came from outside.
 * @throws Error that names the first few faults: a bad table must never replace a good one.
 */
export function checkTable(input: unknown): CheckedTable {
  const parsed = routeTableSchema.safeParse(input)
  if (!parsed.success) {
    const faults = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'table'}: ${issue.message}`)
    throw new Error(`invalid route table: ${faults.join('; ')}`)
  }
  return { table: parsed.data, hosts: new HostTable(parsed.data) }
}

/**
 * Whether `next` is to replace `current`. Versions only grow; a database restored from a backup starts lower again, which its later
 * date tells apart from a message that was late.
 */
export function supersedes(next: Pick<RouteTable, 'version' | 'generatedAt'>, current: Pick<RouteTable, 'version' | 'generatedAt'>): boolean {
  return next.version > current.version || Date.parse(next.generatedAt) > Date.parse(current.generatedAt)
}
