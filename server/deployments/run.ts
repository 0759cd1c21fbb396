import { AppError, isAppError, type WireError } from '@/shared/errors'
import { diskFullError, isDiskFull } from '@/shared/node/disk'
import { newId } from '@/shared/node/ids'
import { deploymentTraits } from '@/shared/states'
import type { Prisma } from '../database/generated/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { jobCatalogue } from '../jobs/catalogue'
import type { JobContext } from '../jobs/worker'
import { buildArtifact } from './build-stage'
import type { DeployDeps, DeployRun } from './deploy-run'
import { goLive } from './live-stage'
import { createLogWriter } from './log-writer'
import { exclusiveKeyOf } from './queue'
import { type DeploymentPart, DeploymentRecord, LeaseLost } from './record'
import { removeInstances, retireOldInstances } from './retire'
import { createRunMask } from './run-mask'
import { describeServing } from './still-serving'
import { readAllVariables } from './variables'

/**
 * Builds the artifact of a deployment, then queues its release. Idempotent after a crash at any point: recorded steps are not repeated;
 * leftovers of an interrupted step are removed and the step restarts.
 */
export const runBuild = (deps: DeployDeps, deploymentId: string, job: JobContext): Promise<void> =>
  runPart(deps, deploymentId, job, 'build', async (run) => {
    // A worker that died after it had queued the release has nothing left to build.
    if (run.deployment.status !== 'PENDING' && run.deployment.status !== 'BUILDING') return
    if (job.attempt > 1) await recoverBuild(deps, run, job)
    refuseCanceled(run)
    if (!run.deployment.artifactId) await buildArtifact(deps, run)
    await queueSwitch(run)
  })

/** Starts the release of a deployment, checks its health and switches traffic to it. Old instances drain afterwards, outside of this job. */
export const runRelease = (deps: DeployDeps, deploymentId: string, job: JobContext): Promise<void> =>
  runPart(deps, deploymentId, job, 'release', async (run) => {
    if (deploymentTraits[run.deployment.status].running) {
      await endAbandoned(deps, run)
      // Its last job may have been given up in the middle of the switch.
      if (job.attempt > 1 || run.deployment.status === 'DEPLOYING') await recoverRelease(deps, run, job)
      refuseCanceled(run)
      if (run.deployment.kind === 'RESTART') await restartWhatIsLive(run)
      await goLive(deps, run)
    }
    await retireOldInstances(deps, run)
  })

async function runPart(
  deps: DeployDeps,
  deploymentId: string,
  job: JobContext,
  part: DeploymentPart,
  work: (run: DeployRun) => Promise<void>,
): Promise<void> {
  const deployment = await deps.prisma.deployment.findUnique({ where: { id: deploymentId } })
  if (!deployment) return
  const { teamId, projectId, environmentId } = deployment
  const ids = { teamId, projectId, environmentId, deploymentId }
  const db = scopeTo(deps.prisma, { teamId })
  const mask = createRunMask()
  const record = await DeploymentRecord.take(db, deps.bus, ids, { owner: deps.owner, attempt: job.attempt, mask }, part)
  const log = createLogWriter({ pool: deps.pool, bus: deps.bus, logger: deps.logger, ids, mask, stop: job.signal })
  const canceled = watchForCancel(deps, db, deploymentId)
  const run: DeployRun = { deployment, part, db, record, log, mask, signal: AbortSignal.any([job.signal, canceled.signal]) }
  try {
    mask.learn(await readAllVariables(db, deps.secrets, { teamId, environmentId }))
    await work(run)
  } catch (error) {
    // Write nothing after a lost lease or during shutdown: the next worker continues from the recorded state.
    if (error instanceof LeaseLost || job.signal.aborted) throw error
    await giveUp(deps, run, canceled.signal.aborted ? new AppError('ERR_CANCELED', 'The deployment was canceled.') : error)
  } finally {
    canceled.dispose()
    if (part === 'release') deps.routes.settle(environmentId)
    await log.flush()
  }
}

/** Another version may have gone live since the restart was asked for: that one is restarted. */
async function restartWhatIsLive(run: DeployRun): Promise<void> {
  const { environmentId, repeats } = run.deployment
  const { liveReleaseId } = await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { liveReleaseId: true } })
  const live = liveReleaseId ? await run.db.deployment.findFirst({ where: { releaseId: liveReleaseId } }) : null
  if (!live) throw new AppError('ERR_CONFLICT', 'Nothing is live any more, so there is nothing to restart.', { nextAction: 'Deploy first.' })
  if (live.id === repeats || run.deployment.releaseId) return
  const { artifactId, commitSha, commitMessage, commitAuthor, branch, framework } = live
  const data = { artifactId, repeats: live.id, commitSha, commitMessage, commitAuthor, branch, framework }
  await run.record.patch(data)
  run.deployment = { ...run.deployment, ...data }
}

function refuseCanceled(run: DeployRun): void {
  if (run.deployment.cancelRequested) throw new AppError('ERR_CANCELED', 'The deployment was canceled.')
}

/** Queues the second job of the deployment. Running it twice is harmless: the second finds a deployment that has ended. */
async function queueSwitch(run: DeployRun): Promise<void> {
  const { id: deploymentId, environmentId, teamId } = run.deployment
  await run.record.fenced((tx) =>
    tx.job.create({
      data: {
        kind: 'release',
        exclusiveKey: exclusiveKeyOf('release', environmentId),
        fairKey: teamId,
        payload: { deploymentId },
        maxAttempts: jobCatalogue.release.maxAttempts,
      },
    }),
  )
}

/**
 * Ends another deployment of the environment that was left in the middle of its switch. This job excludes every other switch of the
 * environment, so the worker of that deployment is dead and its attempts are used up.
 */
async function endAbandoned(deps: DeployDeps, run: DeployRun): Promise<void> {
  const { environmentId, id } = run.deployment
  const left = await run.db.deployment.findMany({ where: { environmentId, status: 'DEPLOYING', id: { not: id } }, select: { id: true } })
  for (const other of left) {
    await removeInstances(deps, { deploymentId: other.id })
    const error: WireError = {
      code: 'ERR_INTERRUPTED',
      message: `The control process stopped ${deps.maxAttempts} times during this deployment.`,
      nextAction: 'Look at the log of the control process for why it stops, then deploy again.',
    }
    await run.record.fenced(async (tx) => {
      await tx.deployment.updateMany({
        where: { id: other.id, status: 'DEPLOYING' },
        data: { status: 'FAILED', endedAt: new Date(), error: error as unknown as Prisma.InputJsonObject },
      })
      await tx.step.updateMany({ where: { deploymentId: other.id, status: 'running' }, data: { status: 'interrupted', endedAt: new Date() } })
    })
  }
}

/** Cleans up after a worker that died in a build: marks its running steps as interrupted and removes what the build left. */
async function recoverBuild(deps: DeployDeps, run: DeployRun, job: JobContext): Promise<void> {
  await noteInterruption(deps, run, job)
  await deps.builder.cleanUp(run.deployment.id)
}

/** Cleans up after a worker that died in a switch: marks its running steps as interrupted and removes its instances. */
async function recoverRelease(deps: DeployDeps, run: DeployRun, job: JobContext): Promise<void> {
  await noteInterruption(deps, run, job)
  // Routers may serve the release of the interrupted switch.
  await restoreRoutes(deps, run)
  await removeInstances(deps, { deploymentId: run.deployment.id })
}

async function noteInterruption(deps: DeployDeps, run: DeployRun, job: JobContext): Promise<void> {
  await run.record.interruptSteps()
  const step = run.part === 'build' ? 'source' : 'start'
  run.log.write({ step, stream: 'system', text: `The control process was stopped meanwhile; going on (attempt ${job.attempt}).` })
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
  // A worker that was overtaken must neither touch routes nor end instances.
  await run.record.fenced(async () => {})
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
  // A build has proposed no routes; a switch that runs beside it may have.
  if (run.part === 'build') return true
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
