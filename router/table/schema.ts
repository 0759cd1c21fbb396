import { isIP } from 'node:net'
import { z } from 'zod'
import type { RouteTable } from '@/shared/route-table'
import { HostTable } from '../match/host-table'

const target = z.object({
  instanceId: z.string().min(1).max(200),
  host: z.string().refine((host) => isIP(host) !== 0, 'must be an IP literal'),
  port: z.number().int().min(1).max(65_535),
})

const route = z.object({
  host: z.string().min(1).max(512),
  teamId: z.string(),
  projectId: z.string(),
  projectName: z.string(),
  deploymentId: z.string().nullable(),
  state: z.enum(['live', 'not-deployed', 'stopped', 'failed']),
  targets: z.array(target).max(10_000),
})

export const routeTableSchema: z.ZodType<RouteTable> = z.object({
  version: z.number().int().min(0),
  generatedAt: z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'must be a date'),
  dashboardUrl: z.string(),
  routes: z.array(route).max(5_000_000),
})

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
