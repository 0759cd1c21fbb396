import { isIP } from 'node:net'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { projectRulesSchema } from '../project-rules-schema'
import type { CertificateEntry, Route, TableHead, TablePart } from '../route-table'

/**
 * Schema by which routers check a table. The control plane checks each part with it before publication, so that an invalid row affects only its
 * own project.
 */

const target = z.object({
  instanceId: z.string().min(1).max(200),
  host: z.string().refine((host) => isIP(host) !== 0, 'must be an IP literal'),
  port: z.number().int().min(1).max(65_535),
  since: z.number().optional(),
})

const content = z.object({ digest: z.string(), directory: z.string().refine(isAbsolute, 'must be an absolute path'), spa: z.boolean() })

export const routeSchema: z.ZodType<Route> = z.object({
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
  closed: z.boolean().optional(),
})

// A single wildcard certificate may have as many names as there are routes.
export const certificateSchema: z.ZodType<CertificateEntry> = z.object({
  id: z.string().min(1).max(200),
  names: z.array(z.string()).max(5_000_000),
  notAfter: z.number(),
})

const head = {
  version: z.number().int().min(0),
  generatedAt: z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'must be a date'),
  dashboardUrl: z.string(),
  httpsPort: z.number().int().min(1).max(65_535).optional(),
  outsideHosts: z.array(z.string().max(300)).max(10_000).optional(),
}
const policies = z.record(z.string(), projectRulesSchema).optional()
const certificates = z.array(certificateSchema).max(5_000_000).optional()
const routes = z.array(routeSchema).max(5_000_000).optional()

export const tableHeadSchema: z.ZodType<TableHead> = z.object(head)
export const tablePartSchema: z.ZodType<TablePart> = z.object({ policies, certificates, routes })
