import { z } from 'zod'
import { wholeNumber } from '@/shared/query-number'

/** Input fields shared by several subjects: ids, names and the position at which a stream continues. */

const id = z.string().min(1).max(64)
export const projectPath = z.object({ project: id.meta({ description: 'Id or slug of the project.' }) })
export const deploymentPath = z.object({ deploymentId: id })
export const instancePath = z.object({ instanceId: id })

export const after = z.string().max(200).optional().meta({ description: 'Id of the last line known; the header Last-Event-ID wins.' })
export const logQuery = z.object({
  follow: z.enum(['0', '1']).default('1').meta({ description: '0: end after the lines there are.' }),
  after,
  tail: wholeNumber(0, 10_000).optional().meta({ description: 'Only the last N lines to begin with.' }),
})
