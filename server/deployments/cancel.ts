import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { deploymentTraits } from '@/shared/states'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import { requestCancel } from './queue'

/**
 * Cancels a deployment. A PENDING deployment ends immediately; for a running deployment the request is recorded, and its worker is
 * notified, stops and cleans up. @throws ERR_NOT_FOUND, ERR_CONFLICT when the deployment has ended
 */
export async function cancelDeployment(deps: { prisma: PrismaClient; bus: ChangeBus }, actor: Actor, deploymentId: string): Promise<void> {
  const db = scopeTo(deps.prisma, actor)
  const deployment = await db.deployment.findUnique({ where: { id: deploymentId } })
  if (!deployment) throw new AppError('ERR_NOT_FOUND', 'There is no such deployment in this team.')
  if (!deploymentTraits[deployment.status].cancelable)
    throw new AppError('ERR_CONFLICT', `This deployment has already ended (${deploymentTraits[deployment.status].label.toLowerCase()}).`, {
      nextAction: 'To take a live version out of service, deploy another one.',
    })
  await db.$transaction((tx) => requestCancel(tx, [deploymentId], null))
  await deps.bus.publish({ kind: 'deployment', id: deploymentId, teamId: actor.teamId, projectId: deployment.projectId })
}
