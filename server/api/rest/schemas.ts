import { z } from 'zod'
import { dnsProviderView } from '@/shared/certificates'
import { deploymentSummary, deploymentView, instanceView, projectView, variableView } from '@/shared/views'

/** Shapes that only REST has: list envelopes, ids in answers, path parameters. */

const pathId = z.string().min(1).max(64)
export const projectPath = z.object({ project: pathId.meta({ description: 'Id or slug of the project.' }) })
export const deploymentPath = z.object({ deploymentId: pathId })
export const instancePath = z.object({ instanceId: pathId })

export const createdProject = projectView.extend({ projectId: z.string() })
export const createdDeployment = deploymentView.extend({ deploymentId: z.string() })
export const projectList = z.object({ items: z.array(projectView), nextCursor: z.string().nullable() })
export const deploymentList = z.object({ items: z.array(deploymentSummary), nextCursor: z.string().nullable() })
export const variableList = z.object({ items: z.array(variableView) })
export const dnsProviderList = z.object({ items: z.array(dnsProviderView) })
export const instanceList = z.object({ items: z.array(instanceView) })
export const uploadedSource = z.object({
  source: z.string().meta({ description: 'Pass it as `source` when creating a deployment.' }),
  sizeBytes: z.number(),
})

export const logQuery = z.object({
  follow: z.enum(['0', '1']).default('1').meta({ description: '0: end after the lines there are.' }),
  after: z.string().max(200).optional().meta({ description: 'Id of the last line known; the header Last-Event-ID wins.' }),
  tail: z.coerce.number().int().min(0).max(10_000).optional().meta({ description: 'Only the last N lines to begin with.' }),
})
