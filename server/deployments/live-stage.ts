import { LastWords } from '@/runtime/last-words'
import { lineMask } from '@/runtime/log-text'
import type { Instance, Prisma } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { defaultHealthCheck, defaultInstanceLimits, otherSlot, type Slot } from '@/shared/release'
import type { RuntimeSettings } from '@/shared/runtime-settings'
import type { ScopedTransaction } from '../database/scope'
import { settingsOf, settingsSelect } from '../environments/settings'
import { launchInstance, type ReleaseConfig, releaseConfig, watchInstance } from '../instances/launch'
import { stopInstances } from '../instances/stop'
import { enqueue } from '../jobs/queue'
import { writeEvent } from '../outbox/write-event'
import { contentSpec } from '../static-content/static-content'
import type { DeployDeps, DeployRun } from './deploy-run'
import { LeaseLost } from './record'
import { unpackStaticFiles } from './static-stage'
import { readVariables } from './variables'

/** artifact → release → healthy instances (or unpacked static files) → cutover. A failure before the cutover does not move traffic. */
export async function goLive(deps: DeployDeps, run: DeployRun): Promise<void> {
  const slot = await idleSlot(run)
  // Write the crash marker (DEPLOYING) before the first side effect on the runtime.
  await run.record.move('DEPLOYING', { slot, startedAt: run.deployment.startedAt ?? new Date() })
  const releaseId = run.deployment.releaseId ?? (await createRelease(deps, run))
  run.signal.throwIfAborted()
  const release = await run.db.release.findUniqueOrThrow({ where: { id: releaseId }, include: { artifact: true } })
  const spec = contentSpec(release.artifact)
  if (spec) {
    await unpackStaticFiles(deps, run, release.artifact, spec, releaseConfig(release))
    run.signal.throwIfAborted()
    return cutOver(deps, run, { releaseId, instances: [] })
  }
  const config = releaseConfig(release)
  const start = { releaseId, slot, wanted: config.instances }
  const instances = (await wakeHealthy(deps, run, start, config)) ?? (await startHealthy(deps, run, start, config))
  run.signal.throwIfAborted()
  await cutOver(deps, run, { releaseId, instances })
}

async function startHealthy(deps: DeployDeps, run: DeployRun, start: Start, config: ReleaseConfig): Promise<Instance[]> {
  const instances = await startInstances(deps, run, start)
  await checkHealth(deps, run, instances, config)
  return instances
}

interface Start {
  releaseId: string
  slot: Slot
  wanted: number
}

/** Starts the wanted number of instances. A failed start fails the step after the others have ended, so that none is left unrecorded. */
function startInstances(deps: DeployDeps, run: DeployRun, { releaseId, slot, wanted }: Start): Promise<Instance[]> {
  return run.record.step('start', async () => {
    const starts = Array.from({ length: wanted }, () => launchInstance(deps, { releaseId, slot, signal: run.signal }))
    const instances = await allStarted(starts)
    for (const { id, host, port } of instances)
      run.log.write({ step: 'start', stream: 'system', text: `Started instance ${id} in slot ${slot} at ${host}:${port}.` })
    return { value: instances, detail: wanted === 1 ? `${slot} slot` : `${wanted} instances in the ${slot} slot` }
  })
}

async function allStarted(starts: Promise<{ instance: Instance }>[]): Promise<Instance[]> {
  const results = await Promise.allSettled(starts)
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value.instance
  })
}

/**
 * Wakes the instances that a rollback has taken back and checks their health. null: there are too few, or they do not run well any more, so
 * new ones are to be started from the artifact.
 */
async function wakeHealthy(deps: DeployDeps, run: DeployRun, start: Start, config: ReleaseConfig): Promise<Instance[] | null> {
  const taken = await takeBack(run, start)
  if (!taken) return null
  try {
    await run.record.step('wake', async () => {
      await Promise.all(taken.map(({ id }) => deps.runtime.wake(id)))
      const names = taken.map(({ id }) => id).join(', ')
      run.log.write({
        step: 'wake',
        stream: 'system',
        text: `Instances of deployment ${run.deployment.repeats} were kept warm and run again: ${names}.`,
      })
      return { value: undefined, detail: `${taken.length} of deployment ${run.deployment.repeats}` }
    })
    await checkHealth(deps, run, taken, config)
    return taken
  } catch (error) {
    if (error instanceof LeaseLost || run.signal.aborted) throw error
    run.log.write({ step: 'wake', stream: 'system', text: 'The instances that were kept warm do not run well any more: new ones are started.' })
    await stopInstances(deps, taken)
    return null
  }
}

/** Thrown to undo the transaction that takes instances back. */
class TooFew extends Error {}

/**
 * Takes back the instances of the release that a rollback returns to, frozen and draining ones alike. They belong to the rollback's release
 * from then on. null: not a rollback, or too few are left.
 */
async function takeBack(run: DeployRun, { releaseId, slot, wanted }: Start): Promise<Instance[] | null> {
  const { kind, repeats, id: deploymentId, environmentId } = run.deployment
  if (kind !== 'ROLLBACK' || !repeats) return null
  const origin = await run.db.deployment.findUnique({ where: { id: repeats }, select: { releaseId: true } })
  if (!origin?.releaseId) return null
  const idle = { environmentId, releaseId: origin.releaseId, state: { in: ['draining', 'sleeping'] as Instance['state'][] }, endingAt: null }
  const claim = run.record.fenced(async (tx) => {
    const drains = (await tx.instance.findMany({ where: { ...idle, replacedBy: { not: null } }, select: { replacedBy: true } })).flatMap(
      ({ replacedBy }) => replacedBy ?? [],
    )
    const { count } = await tx.instance.updateMany({
      where: idle,
      data: { releaseId, deploymentId, slot, state: 'starting', drainingSince: null, replacedBy: null },
    })
    if (count < wanted) throw new TooFew()
    await tx.step.updateMany({
      where: { deploymentId: { in: drains }, name: 'drain', status: 'running' },
      data: { status: 'done', endedAt: new Date(), detail: 'a rollback took the version back' },
    })
    return tx.instance.findMany({ where: { releaseId, state: 'starting' } })
  })
  return claim.catch((error) => {
    if (error instanceof TooFew) return null
    throw error
  })
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

/** Creates the release: artifact plus frozen configuration. A rollback takes the frozen configuration it returns to. Returns its id. */
async function createRelease(deps: DeployDeps, run: DeployRun): Promise<string> {
  const { teamId, projectId, environmentId, id: deploymentId, artifactId } = run.deployment
  if (!artifactId) throw new Error(`deployment ${deploymentId} has no artifact to release`)
  const { config, sealed } = (await frozenConfiguration(deps, run)) ?? (await presentConfiguration(deps, run, artifactId))
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

interface Configuration {
  config: ReleaseConfig
  sealed: Uint8Array
}

/** Variables and settings as they were when the release that a rollback returns to was made. null: not a rollback. */
async function frozenConfiguration(deps: DeployDeps, run: DeployRun): Promise<Configuration | null> {
  const { kind, repeats, teamId } = run.deployment
  if (kind !== 'ROLLBACK' || !repeats) return null
  const before = await run.db.deployment.findUniqueOrThrow({ where: { id: repeats }, select: { releaseId: true } })
  const release = await run.db.release.findUniqueOrThrow({ where: { id: before.releaseId ?? '' } })
  run.mask.learn(JSON.parse(await deps.secrets.open(teamId, release.variables)) as Record<string, string>)
  return { config: releaseConfig(release), sealed: release.variables }
}

/** Variables and settings of the environment as they are now. */
async function presentConfiguration(deps: DeployDeps, run: DeployRun, artifactId: string): Promise<Configuration> {
  const { teamId, projectId, environmentId } = run.deployment
  const [project, artifact, variables, settings] = await Promise.all([
    run.db.project.findUniqueOrThrow({ where: { id: projectId } }),
    run.db.artifact.findUniqueOrThrow({ where: { id: artifactId } }),
    readVariables(run.db, deps.secrets, { teamId, environmentId, scope: 'RUNTIME' }),
    environmentSettings(run),
  ])
  run.mask.learn(variables)
  return { config: configurationOf(project, artifact, settings), sealed: await deps.secrets.seal(teamId, JSON.stringify(variables)) }
}

/** Configuration of a release that is made now from the artifact. */
export function configurationOf(
  project: { healthCheckPath: string | null },
  artifact: { metadata: unknown },
  settings: RuntimeSettings,
): ReleaseConfig {
  const detectedPath = (artifact.metadata as { healthCheckPath?: string }).healthCheckPath
  return {
    health: { ...healthOf(settings), path: project.healthCheckPath ?? detectedPath ?? '/', strict: project.healthCheckPath !== null },
    limits: { ...defaultInstanceLimits, memoryBytes: settings.memoryMb * 1024 * 1024, cpus: settings.cpus },
    instances: settings.instances,
  }
}

async function environmentSettings(run: DeployRun): Promise<RuntimeSettings> {
  const { environmentId } = run.deployment
  return settingsOf(await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: settingsSelect }))
}

/** Waits until every instance is healthy. */
async function checkHealth(deps: DeployDeps, run: DeployRun, instances: Instance[], config: ReleaseConfig): Promise<void> {
  await run.record.step('health', async () => {
    const details = await Promise.all(instances.map((instance) => checkInstance(deps, run, instance, config)))
    return { value: undefined, detail: details[0] ?? '' }
  })
}

/** @throws ERR_HEALTH_CHECK with the app's last output */
async function checkInstance(deps: DeployDeps, run: DeployRun, { id, host, port }: Instance, config: ReleaseConfig): Promise<string> {
  if (!host || !port)
    throw new AppError('ERR_START', 'The instance started without an address.', {
      nextAction: 'Deploy again; if it stays so, check the container engine.',
    })
  const result = await deps.runtime.probe({ host, port }, config.health, {
    ...watchInstance(deps.runtime, id),
    signal: run.signal,
    onNotice: (text) => run.log.write({ step: 'health', stream: 'system', text }),
  })
  if (result.healthy) return `GET ${config.health.path} → ${result.statusCode} in ${result.latencyMs} ms`
  const words = await copyLastOutput(deps, run, id)
  run.signal.throwIfAborted()
  const reason = `The new version did not become healthy. ${result.reason ?? ''}`.trim()
  throw new AppError('ERR_HEALTH_CHECK', [reason, ...words.quote()].join('\n'), {
    nextAction:
      'Read the app’s own output above this line; check the start command, the port ($PORT), the health check path and the start time in the project’s settings, then deploy again.',
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

async function writeSwitchEvents(
  run: DeployRun,
  tx: ScopedTransaction,
  { releaseId, before }: { releaseId: string; before: string | null },
): Promise<void> {
  const { teamId, projectId, environmentId, id: deploymentId, kind, repeats, triggeredBy } = run.deployment
  const ids = { deploymentId, environmentId, releaseId }
  await writeEvent(tx, { teamId, projectId, kind: 'deployment.ready', payload: ids })
  if (kind === 'PROMOTE' && repeats)
    await writeEvent(tx, { teamId, projectId, kind: 'deployment.promoted', payload: { ...ids, fromDeploymentId: repeats } })
  if (kind === 'ROLLBACK') {
    const replaced = before ? await tx.deployment.findFirst({ where: { releaseId: before }, select: { id: true } }) : null
    const payload = { ...ids, fromDeploymentId: replaced?.id ?? null, automatic: triggeredBy === 'SYSTEM' }
    await writeEvent(tx, { teamId, projectId, kind: 'deployment.rolled_back', payload })
  }
}

/** Waits until every router serves the new release, then moves the live pointer and all dependent rows in a single transaction. */
async function cutOver(deps: DeployDeps, run: DeployRun, next: { releaseId: string; instances: Instance[] }): Promise<void> {
  const { teamId, projectId, environmentId, id: deploymentId, kind } = run.deployment
  const settings = await environmentSettings(run)
  const commit = (step: bigint) =>
    run.record.fenced(async (tx) => {
      const environment = await tx.environment.findUniqueOrThrow({ where: { id: environmentId } })
      const { cancelRequested } = await tx.deployment.findUniqueOrThrow({ where: { id: deploymentId }, select: { cancelRequested: true } })
      // Asked for while the routers took the table: nothing is recorded, and the routes of before are published again.
      if (cancelRequested || environment.closedAt) throw new AppError('ERR_CANCELED', 'The deployment was canceled.')
      const now = new Date()
      await tx.environment.update({
        where: { id: environmentId },
        data: { liveReleaseId: next.releaseId, previousReleaseId: environment.liveReleaseId },
      })
      await tx.deployment.updateMany({
        where: { environmentId, status: 'ACTIVE', id: { not: deploymentId } },
        data: { status: kind === 'ROLLBACK' ? 'ROLLED_BACK' : 'SUPERSEDED', endedAt: now, watchUntil: null },
      })
      // One version is kept warm: the one that served until now.
      const others = { environmentId, id: { not: next.releaseId } }
      await tx.release.updateMany({ where: { ...others, wanted: { not: 'stopped' } }, data: { wanted: 'stopped', warmUntil: null } })
      if (environment.liveReleaseId && environment.liveReleaseId !== next.releaseId && settings.warmMinutes > 0)
        await tx.release.update({
          where: { id: environment.liveReleaseId },
          data: { wanted: 'warm', warmUntil: new Date(now.getTime() + settings.warmMinutes * 60_000) },
        })
      await tx.instance.updateMany({ where: { id: { in: next.instances.map(({ id }) => id) } }, data: { state: 'healthy' } })
      await tx.step.update({ where: { id: step }, data: { status: 'done', endedAt: now } })
      const isWatched = environment.liveReleaseId !== null && kind !== 'ROLLBACK' && settings.watchSeconds > 0
      await run.record.moveWithin(tx, 'ACTIVE', {
        liveAt: now,
        watchUntil: isWatched ? new Date(now.getTime() + settings.watchSeconds * 1000) : null,
      })
      await writeSwitchEvents(run, tx, { releaseId: next.releaseId, before: environment.liveReleaseId })
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
