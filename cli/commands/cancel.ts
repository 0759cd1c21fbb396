import { setTimeout as wait } from 'node:timers/promises'
import { AppError } from '@/shared/errors'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentView } from '@/shared/views'
import { type Client, restartPatienceMs } from '../client'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { events } from '../event-stream'
import { UsageError } from '../failure'

/** Cancels a running deployment and waits until it has ended. The live deployment stays live. */
export async function cancel(
  env: CliEnv,
  deploymentId: string | undefined,
  options: ApiOptions & { project?: string },
  signal: AbortSignal,
): Promise<void> {
  const context = await openContext(env, options, signal)
  const id = deploymentId ?? (await runningDeployment(await currentProject(context, options.project)))
  await requestCancel(context.client, id)
  context.progress.status('canceling')
  const ended = await waitForEnd(context.client, id, signal)
  context.progress.stop()
  if (context.json) printResult({ deploymentId: id, status: ended.status })
  if (ended.status === 'CANCELED') return context.progress.done(`Deployment ${id} is canceled.`)
  throw new AppError('ERR_CONFLICT', `Deployment ${id} ended before it could be canceled: ${deploymentTraits[ended.status].label}.`)
}

async function runningDeployment(project: {
  name: string
  latestDeployment: { id: string; status: DeploymentView['status'] } | null
}): Promise<string> {
  const latest = project.latestDeployment
  if (latest && deploymentTraits[latest.status].cancelable) return latest.id
  throw new UsageError(`No deployment of ${project.name} is running.`)
}

/** Same limit as for the log: a restarted server continues the deployment. */
export const getDeployment = (client: Client, id: string): Promise<DeploymentView> =>
  client.call(`/deployments/${encodeURIComponent(id)}`, { patienceMs: restartPatienceMs })

/** Cancelling is idempotent. */
export const requestCancel = (client: Client, id: string): Promise<DeploymentView> =>
  client.call(`/deployments/${encodeURIComponent(id)}/cancel`, { method: 'POST', body: {}, idempotent: true, patienceMs: restartPatienceMs })

/** Waits for the end of the log instead of polling: the log ends with the deployment. */
export async function waitForEnd(client: Client, id: string, signal: AbortSignal): Promise<DeploymentView> {
  for (;;) {
    const now = await getDeployment(client, id)
    if (!deploymentTraits[now.status].running) return now
    for await (const _ of events(client, `/deployments/${encodeURIComponent(id)}/logs?tail=1`, signal));
    signal.throwIfAborted()
    await wait(20)
  }
}
