import { LastWords } from '@/runtime/last-words'
import { lineMask } from '@/runtime/log-text'
import type { Instance, Prisma } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { defaultHealthCheck, defaultInstanceLimits, otherSlot, type Slot } from '@/shared/release'
import { type RuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'
import { launchInstance, type ReleaseConfig, releaseConfig, watchInstance } from '../instances/launch'
import { enqueue } from '../jobs/queue'
import { writeEvent } from '../outbox/write-event'
import { contentSpec } from '../static-content/static-content'
import type { DeployDeps, DeployRun } from './deploy-run'
import { layOutFiles } from './static-stage'
import { readVariables } from './variables'

/** artifact → release → healthy instance (or unpacked static files) → cutover. A failure before the cutover does not move traffic. */
export async function goLive(deps: DeployDeps, run: DeployRun, artifactId: string): Promise<void> {
  const slot = await idleSlot(run)
  // Write the crash marker (DEPLOYING) before the first side effect on the runtime.
  await run.record.move('DEPLOYING', { slot })
  const releaseId = run.deployment.releaseId ?? (await createRelease(deps, run, artifactId))
  run.signal.throwIfAborted()
  const release = await run.db.release.findUniqueOrThrow({ where: { id: releaseId }, include: { artifact: true } })
  const spec = contentSpec(release.artifact)
  if (spec) {
    await layOutFiles(deps, run, release.artifact, spec, releaseConfig(release))
    run.signal.throwIfAborted()
    return cutOver(deps, run, { releaseId, instance: null })
  }
  const { instance, config } = await run.record.step('start', async () => {
    const started = await launchInstance(deps, { releaseId, slot, signal: run.signal })
    const { host, port } = started.instance
    run.log.write({ step: 'start', stream: 'system', text: `Started instance ${started.instance.id} in slot ${slot} at ${host}:${port}.` })
    return { value: started, detail: `${slot} slot` }
  })
  await checkHealth(deps, run, instance, config)
  run.signal.throwIfAborted()
  await cutOver(deps, run, { releaseId, instance })
}

async function idleSlot(run: DeployRun): Promise<Slot> {
  const { environmentId } = run.deployment
  const { liveReleaseId } = await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { liveReleaseId: true } })
  if (!liveReleaseId) return 'blue'
  const live = await run.db.instance.findFirst({
    where: { environmentId, releaseId: liveReleaseId },
    orderBy: { createdAt: 'desc' },
    select: { slot: true },
  })
  return otherSlot((live?.slot as Slot | undefined) ?? null)
}

const healthOf = (settings: RuntimeSettings) => ({
  ...defaultHealthCheck,
  startPeriodMs: settings.startSeconds * 1000,
  errorsPeriodMs: settings.startSeconds * 10 * settings.errorAnswersPercent,
  intervalMs: settings.healthIntervalMs,
  timeoutMs: settings.healthTimeoutMs,
  successes: settings.healthySuccesses,
  latencyThresholdMs: settings.latencyThresholdMs,
})

/** Creates the release: artifact plus frozen runtime variables, health check and limits. Returns its id. */
async function createRelease(deps: DeployDeps, run: DeployRun, artifactId: string): Promise<string> {
  const { teamId, projectId, environmentId, id: deploymentId } = run.deployment
  const [project, artifact, variables] = await Promise.all([
    run.db.project.findUniqueOrThrow({ where: { id: projectId } }),
    run.db.artifact.findUniqueOrThrow({ where: { id: artifactId } }),
    readVariables(run.db, deps.secrets, { teamId, environmentId, scope: 'RUNTIME' }),
  ])
  run.mask.learn(variables)
  const detectedPath = (artifact.metadata as { healthCheckPath?: string }).healthCheckPath
  const settings = readRuntimeSettings(project.runtimeSettings)
  const config: ReleaseConfig = {
    health: { ...healthOf(settings), path: project.healthCheckPath ?? detectedPath ?? '/', strict: project.healthCheckPath !== null },
    limits: { ...defaultInstanceLimits, memoryBytes: settings.memoryMb * 1024 * 1024, cpus: settings.cpus },
  }
  const sealed = await deps.secrets.seal(teamId, JSON.stringify(variables))
  const id = newId()
  await run.record.fenced(async (tx) => {
    await tx.release.create({
      data: {
        id,
        teamId,
        projectId,
        environmentId,
        deploymentId,
        artifactId,
        config: config as unknown as Prisma.InputJsonObject,
        variables: new Uint8Array(sealed),
      },
    })
    await tx.deployment.update({ where: { id: deploymentId }, data: { releaseId: id } })
  })
  return id
}

async function checkHealth(deps: DeployDeps, run: DeployRun, instance: Instance, config: ReleaseConfig): Promise<void> {
  const { host, port, id } = instance
  if (!host || !port)
    throw new AppError('ERR_START', 'The instance started without an address.', {
      nextAction: 'Deploy again; if it stays so, check the container engine.',
    })
  await run.record.step('health', async () => {
    const result = await deps.runtime.probe({ host, port }, config.health, {
      ...watchInstance(deps.runtime, id),
      signal: run.signal,
      onNotice: (text) => run.log.write({ step: 'health', stream: 'system', text }),
    })
    if (result.healthy) return { value: undefined, detail: `GET ${config.health.path} → ${result.statusCode} in ${result.latencyMs} ms` }
    const words = await copyLastOutput(deps, run, id)
    run.signal.throwIfAborted()
    const reason = `The new version did not become healthy. ${result.reason ?? ''}`.trim()
    throw new AppError('ERR_HEALTH_CHECK', [reason, ...words.quote()].join('\n'), {
      nextAction:
        'Read the app’s own output above this line; check the start command, the port ($PORT), the health check path and the start time in the project’s settings, then deploy again.',
    })
  })
}

/** Copies the last output of a failed app into the deployment's log before the instance is removed. */
async function copyLastOutput(deps: DeployDeps, run: DeployRun, instanceId: string): Promise<LastWords> {
  const words = new LastWords()
  try {
    const masked = lineMask(run.mask.current())
    for await (const line of deps.runtime.logs(instanceId, { tail: 200, signal: AbortSignal.timeout(5_000) })) {
      const text = masked(line)
      words.add(text)
      run.log.write({ step: 'runtime', stream: line.stream, text, at: line.at })
    }
  } catch (error) {
    deps.logger.warn({ err: error, instance: instanceId }, 'cannot read the output of an unhealthy instance')
  }
  return words
}

/** Waits until every router serves the new release, then moves the live pointer and all dependent rows in a single transaction. */
async function cutOver(deps: DeployDeps, run: DeployRun, next: { releaseId: string; instance: Instance | null }): Promise<void> {
  const { teamId, projectId, environmentId, id: deploymentId } = run.deployment
  const commit = (step: bigint) =>
    run.record.fenced(async (tx) => {
      const environment = await tx.environment.findUniqueOrThrow({ where: { id: environmentId } })
      const now = new Date()
      await tx.environment.update({
        where: { id: environmentId },
        data: { liveReleaseId: next.releaseId, previousReleaseId: environment.liveReleaseId },
      })
      await tx.deployment.updateMany({
        where: { environmentId, status: 'ACTIVE', id: { not: deploymentId } },
        data: { status: 'SUPERSEDED', endedAt: now },
      })
      if (next.instance) await tx.instance.update({ where: { id: next.instance.id }, data: { state: 'healthy' } })
      await tx.step.update({ where: { id: step }, data: { status: 'done', endedAt: now } })
      await run.record.moveWithin(tx, 'ACTIVE', { liveAt: now })
      await writeEvent(tx, { teamId, projectId, kind: 'deployment.ready', payload: { deploymentId, environmentId, releaseId: next.releaseId } })
    })
  await run.record.step('cutover', async (step) => {
    await deps.routes.propose({ environmentId, releaseId: next.releaseId })
    // Store this line before the status changes: log readers stop at the final status.
    run.log.write({ step: 'cutover', stream: 'system', text: 'All routers serve this deployment. It is live.' })
    await run.log.flush()
    await commit(step)
    return { value: undefined }
  })
  await enqueue(deps.pool, 'prune', { projectId }, { fairKey: teamId }).catch((error) =>
    deps.logger.warn({ err: error }, 'cannot queue the clean-up of old artifacts'),
  )
}
