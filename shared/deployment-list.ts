import { z } from 'zod'
import { deploymentStatuses } from './states'
import { pageInput } from './views'

/** Filter of a list of deployments. */
export const deploymentFilter = {
  projectId: z.string().min(1).max(64).optional().meta({ description: 'Of one project; default: of the whole team.' }),
  status: z.enum(deploymentStatuses).optional().meta({ description: 'In this status alone.' }),
}
export const deploymentsQuery = pageInput.extend(deploymentFilter)
