import { isIP } from 'node:net'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { edgePolicySchema } from '@/shared/edge-policy-schema'
import type { RouteTable } from '@/shared/route-table'
import { HostTable } from '../match/host-table'

const target = z.object({
  instanceId: z.string().min(1).max(200),
  host: z.string().refine((host) => isIP(host) !== 0, 'must be an IP literal'),
  port: z.number().int().min(1).max(65_535),
  since: z.number().optional(),
})

const content = z.object({ digest: z.string(), directory: z.string().refine(isAbsolute, 'must be an absolute path'), spa: z.boolean() })

const route = z.object({
  host: z.string().min(1).max(512),
  teamId: z.string(),
  projectId: z.string(),
  projectName: z.string(),
  deploymentId: z.string().nullable(),
  state: z.enum(['live', 'not-deployed', 'stopped', 'failed', 'sleeping']),
  targets: z.array(target).max(10_000),
  policy: z.string().optional(),
  content: content.optional(),
  httpsOnly: z.boolean().optional(),
  hstsSeconds: z.number().int().min(0).optional(),
  redirectTo: z.string().optional(),
})

// One wildcard may be for as many names as there are routes.
const certificate = z.object({ id: z.string().min(1).max(200), names: z.array(z.string()).max(5_000_000), notAfter: z.number() })

export const routeTableSchema: z.ZodType<RouteTable> = z.object({
  version: z.number().int().min(0),
  generatedAt: z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'must be a date'),
  dashboardUrl: z.string(),
  routes: z.array(route).max(5_000_000),
  policies: z.record(z.string(), edgePolicySchema).optional(),
  certificates: z.array(certificate).max(5_000_000).optional(),
  httpsPort: z.number().int().min(1).max(65_535).optional(),
  outsideHosts: z.array(z.string().max(300)).max(10_000).optional(),
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
