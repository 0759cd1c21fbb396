import { z } from 'zod'
import { deploymentStatuses } from './states'
import { pageInput } from './views'

/** Filter of a list of deployments. */
export const deploymentFilter = {
  projectId: z.string().min(1).max(64).optional().meta({ description: 'Of one project; default: of the whole team.' }),
  environment: z.string().min(1).max(100).optional().meta({ description: 'Name or id of the environment.' }),
  branch: z.string().min(1).max(250).optional().meta({ description: 'Of this branch alone.' }),
  author: z.string().min(1).max(200).optional().meta({ description: 'Part of the name of the commit’s author, or of who asked for it.' }),
  status: z.enum(deploymentStatuses).optional().meta({ description: 'In this status alone.' }),
}
export const deploymentsQuery = pageInput.extend(deploymentFilter)
