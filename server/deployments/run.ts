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
 * Brings one deployment to its end: build, start, health check, cutover; the old one then drains by itself. Safe to run again after a crash at any
 * point: what the record says is done is not done twice, what was half done is removed and begun anew.
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
    // A lost lease or a stopping process writes nothing: the next worker goes on from the record.
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

/** An earlier worker died with this deployment: its leftovers go, its open steps are closed, and the work begins again where the record allows. */
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

/** Undo, explain, keep traffic where it was. */
async function giveUp(deps: DeployDeps, run: DeployRun, error: unknown): Promise<void> {
  const canceled = isAppError(error) && error.code === 'ERR_CANCELED'
  const errorId = newId()
  if (!isAppError(error)) deps.logger.error({ err: error, deployment: run.deployment.id, errorId }, 'deployment failed unexpectedly')
  const { status } = await run.db.deployment.findUniqueOrThrow({ where: { id: run.deployment.id }, select: { status: true } })
  if (!deploymentTraits[status].running) {
    // It is live already; only the old instances were not marked as draining. The monitor does that.
    deps.logger.warn({ err: error, deployment: run.deployment.id }, 'old instances were not taken out of the routes; the monitor will')
    return
  }
  // Before its instances go: routers may serve it already, if it failed between their word and the record's.
  const routed = await takeBack(deps, run)
  const wire = await explain(deps, run, { error, errorId, routed })
  // One line: what the command said last stands right above it.
  const [reason, ...quoted] = wire.message.split('\n')
  // An app that ended at once left no instance to read from: what the error quotes is all of its output that is left.
  if (wire.code === 'ERR_START')
    for (const text of quoted.filter((line) => line.startsWith('  '))) run.log.write({ step: 'runtime', stream: 'stderr', text: text.slice(2) })
  run.log.write({ step: wire.step ?? 'deploy', stream: 'system', text: canceled ? 'Canceled.' : `Failed: ${reason}` })
  if (wire.nextAction && !canceled) run.log.write({ step: wire.step ?? 'deploy', stream: 'system', text: `Next: ${wire.nextAction}` })
  await run.log.flush()
  await removeInstances(deps, { deploymentId: run.deployment.id })
  await run.record.fail(canceled ? 'CANCELED' : 'FAILED', wire)
  await takeBack(deps, run)
}

/** Routes are what the record says again. False: not every router has confirmed it yet; the monitor goes on trying. */
async function takeBack(deps: DeployDeps, run: DeployRun): Promise<boolean> {
  deps.routes.settle(run.deployment.environmentId)
  return deps.routes.sync().then(
    () => true,
    (cause) => {
      deps.logger.warn({ err: cause }, 'routes not published after a failure')
      return false
    },
  )
}

/** What the person is told. The words of an unexpected error may hold anything: they stay in the operator's log, under the id. */
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

/** Aborts as soon as somebody asks for this deployment to be canceled, from whichever process. */
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
