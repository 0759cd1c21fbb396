import { AppError, isAppError, type WireError } from '@/shared/errors'
import { diskFullError, isDiskFull } from '@/shared/node/disk'
import { newId } from '@/shared/node/ids'
import { deploymentTraits } from '@/shared/states'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { JobContext } from '../jobs/worker'
import { buildArtifact } from './build-stage'
import type { DeployDeps, DeployRun } from './deploy-run'
import { goLive } from './live-stage'
import { createLogWriter } from './log-writer'
import { DeploymentRecord, LeaseLost } from './record'
import { removeInstances, retireOldInstances } from './retire'
import { createRunMask } from './run-mask'
import { describeServing } from './still-serving'
import { readAllVariables } from './variables'

/**
 * Runs a deployment to its final status: build, start, health check, cutover. Old instances drain afterwards, outside of this job.
 * Idempotent after a crash at any point: recorded steps are not repeated; leftovers of an interrupted step are removed and the step restarts.
 */
export async function runDeployment(deps: DeployDeps, deploymentId: string, job: JobContext): Promise<void> {
  const deployment = await deps.prisma.deployment.findUnique({ where: { id: deploymentId } })
  if (!deployment) return
  const { teamId, projectId, environmentId } = deployment
  const ids = { teamId, projectId, environmentId, deploymentId }
  const db = scopeTo(deps.prisma, { teamId })
  const mask = createRunMask()
  const record = await DeploymentRecord.take(db, deps.bus, ids, { owner: deps.owner, attempt: job.attempt, mask })
  const log = createLogWriter({ pool: deps.pool, bus: deps.bus, logger: deps.logger, ids, mask, stop: job.signal })
  const canceled = watchForCancel(deps, db, deploymentId)
  const run: DeployRun = { deployment, db, record, log, mask, signal: AbortSignal.any([job.signal, canceled.signal]) }
  try {
    mask.learn(await readAllVariables(db, deps.secrets, { teamId, environmentId }))
    if (job.attempt > 1) await recoverFromCrash(deps, run, job)
    if (deploymentTraits[run.deployment.status].running) await advance(deps, run)
    await retireOldInstances(deps, run)
  } catch (error) {
    // Write nothing after a lost lease or during shutdown: the next worker continues from the recorded state.
    if (error instanceof LeaseLost || job.signal.aborted) throw error
    await giveUp(deps, run, canceled.signal.aborted ? new AppError('ERR_CANCELED', 'The deployment was canceled.') : error)
  } finally {
    canceled.dispose()
    deps.routes.settle(environmentId)
    await log.flush()
  }
}

async function advance(deps: DeployDeps, run: DeployRun): Promise<void> {
  if (run.deployment.cancelRequested) throw new AppError('ERR_CANCELED', 'The deployment was canceled.')
  const artifactId = run.deployment.artifactId ?? (await buildArtifact(deps, run))
  await goLive(deps, run, artifactId)
}

/** Cleans up after a worker that died: removes its instances, marks its running steps as interrupted, resumes from the recorded state. */
async function recoverFromCrash(deps: DeployDeps, run: DeployRun, job: JobContext): Promise<void> {
  await run.record.interruptSteps()
  if (!deploymentTraits[run.deployment.status].running) return
  run.log.write({ step: 'source', stream: 'system', text: `The control process was stopped meanwhile; going on (attempt ${job.attempt}).` })
  await deps.builder.cleanUp(run.deployment.id)
  await removeInstances(deps, { deploymentId: run.deployment.id })
  if (job.attempt > deps.maxAttempts)
    throw new AppError('ERR_INTERRUPTED', `The control process stopped ${deps.maxAttempts} times during this deployment.`, {
      nextAction: 'Look at the log of the control process for why it stops, then deploy again.',
    })
}

/** Ends a failed or canceled deployment: restores the old routes, removes its instances, records the error. */
async function giveUp(deps: DeployDeps, run: DeployRun, error: unknown): Promise<void> {
  const canceled = isAppError(error) && error.code === 'ERR_CANCELED'
  const errorId = newId()
  if (!isAppError(error)) deps.logger.error({ err: error, deployment: run.deployment.id, errorId }, 'deployment failed unexpectedly')
  const { status } = await run.db.deployment.findUniqueOrThrow({ where: { id: run.deployment.id }, select: { status: true } })
  if (!deploymentTraits[status].running) {
    // The deployment is live; only marking old instances as draining failed. The monitor retries that.
    deps.logger.warn({ err: error, deployment: run.deployment.id }, 'old instances were not taken out of the routes; the monitor will')
    return
  }
  // Restore routes before removing instances: routers may already serve this deployment if it failed between their acknowledgement and the database write.
  const routed = await restoreRoutes(deps, run)
  const wire = await explain(deps, run, { error, errorId, routed })
  // One line only: the last output of the failed command is the line above.
  const [reason, ...quoted] = wire.message.split('\n')
  // An app that exited immediately left no instance to read logs from: only the error quotes its output.
  if (wire.code === 'ERR_START')
    for (const text of quoted.filter((line) => line.startsWith('  '))) run.log.write({ step: 'runtime', stream: 'stderr', text: text.slice(2) })
  run.log.write({ step: wire.step ?? 'deploy', stream: 'system', text: canceled ? 'Canceled.' : `Failed: ${reason}` })
  if (wire.nextAction && !canceled) run.log.write({ step: wire.step ?? 'deploy', stream: 'system', text: `Next: ${wire.nextAction}` })
  await run.log.flush()
  await removeInstances(deps, { deploymentId: run.deployment.id })
  await run.record.fail(canceled ? 'CANCELED' : 'FAILED', wire)
  await restoreRoutes(deps, run)
}

/** Publishes the routes in the database again. False: some router has not acknowledged them yet; the monitor retries. */
async function restoreRoutes(deps: DeployDeps, run: DeployRun): Promise<boolean> {
  deps.routes.settle(run.deployment.environmentId)
  return deps.routes.sync().then(
    () => true,
    (cause) => {
      deps.logger.warn({ err: cause }, 'routes not published after a failure')
      return false
    },
  )
}

/** Error for the user. The message of an unexpected error may contain secrets: it goes to the operator's log only, under the error id. */
async function explain(
  deps: DeployDeps,
  run: DeployRun,
  { error, errorId, routed }: { error: unknown; errorId: string; routed: boolean },
): Promise<WireError> {
  const stillServing = await describeServing({ ...deps, db: run.db }, run.deployment.environmentId, routed).catch((cause) => {
    deps.logger.warn({ err: cause, deployment: run.deployment.id }, 'what serves after a failure could not be found out')
    return 'What was live before was not replaced; whether it answers could not be found out.'
  })
  const lastStep = await run.db.step.findFirst({ where: { deploymentId: run.deployment.id }, orderBy: { id: 'desc' }, select: { name: true } })
  const step = lastStep ? { step: lastStep.name } : {}
  if (isAppError(error)) return { ...step, ...error.toWire(), stillServing }
  if (isDiskFull(error)) return { ...step, ...diskFullError('The deployment failed').toWire(), stillServing }
  return {
    ...step,
    stillServing,
    code: 'ERR_INTERNAL',
    message: `Something went wrong inside Switchyard (error ${errorId}).`,
    nextAction: `Deploy again; if it happens again, the operator finds ${errorId} in the log of the control process.`,
  }
}

/** A signal that aborts when any process requests cancellation of this deployment. */
function watchForCancel(deps: DeployDeps, db: ScopedClient, deploymentId: string): { signal: AbortSignal; dispose(): void } {
  const canceled = new AbortController()
  const done = new AbortController()
  const changes = deps.bus.listen((c) => c.kind === 'deployment' && c.id === deploymentId, done.signal)
  const check = async () => {
    const row = await db.deployment.findUnique({ where: { id: deploymentId }, select: { cancelRequested: true } })
    if (row?.cancelRequested) canceled.abort(new AppError('ERR_CANCELED', 'The deployment was canceled.'))
  }
  void (async () => {
    for await (const _ of changes) {
      await check().catch((error) => deps.logger.warn({ err: error }, 'cannot see whether a deployment was canceled'))
      if (canceled.signal.aborted) return
    }
  })()
  return { signal: canceled.signal, dispose: () => done.abort() }
}
