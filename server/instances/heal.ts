import type { Logger } from 'pino'
import type { SourceSpec } from '@/builder/builder'
import type { ObservedInstance } from '@/runtime/driver'
import type { Artifact, Environment, Instance, Prisma, PrismaClient, Release } from '@/server/database/generated/client'
import { AppError, isAppError } from '@/shared/errors'
import type { HealthCheck, Slot } from '@/shared/release'
import { scopeTo } from '../database/scope'
import { queueDeployment } from '../deployments/queue'
import type { ChangeBus } from '../events/bus'
import type { RoutePublisher } from '../routes/publisher'
import { type ContentSpec, contentSpec, type StaticContents } from '../static-content/static-content'
import { crashLoopAfter, crashWindowMs, settledAfterMs } from './crash-window'
import { artifactOf, type LaunchDeps, launchInstance, markStopped, releaseConfig, watchInstance } from './launch'
import type { StartGate } from './start-gate'

export interface HealDeps extends LaunchDeps {
  routes: RoutePublisher
  bus: ChangeBus
  contents: StaticContents
  startGate: StartGate
  logger: Logger
}

const backoffBaseMs = 1_000
const backoffMaxMs = 60_000

/** Restart backoff in milliseconds; grows with the release's recent crashes. */
export async function healDelayMs(prisma: PrismaClient, releaseId: string): Promise<number> {
  const deaths = await recentDeaths(prisma, releaseId)
  return deaths <= 1 ? 0 : Math.min(backoffMaxMs, backoffBaseMs * 2 ** (deaths - 2))
}

/** Number of recent crashes caused by the app; exits caused by the engine or machine do not count. */
async function recentDeaths(prisma: PrismaClient, releaseId: string): Promise<number> {
  const after = new Date(Date.now() - crashWindowMs)
  const [row] = await prisma.$queryRaw<{ deaths: number }[]>`
    SELECT count(*)::int AS deaths FROM "Instance"
    WHERE "releaseId"=${releaseId} AND "state"='stopped' AND "stoppedAt" > ${after} AND COALESCE("exit"->>'byEngine','false') <> 'true'`
  return row?.deaths ?? 0
}

/**
 * Ensures that the environment's live release runs with as many instances as it wants: starts and probes the missing ones and publishes
 * their routes. @throws AppError when a new instance does not become healthy
 */
export async function healEnvironment(deps: HealDeps, environmentId: string, signal?: AbortSignal): Promise<void> {
  const { prisma, runtime } = deps
  const environment = await prisma.environment.findUnique({ where: { id: environmentId } })
  const releaseId = environment?.liveReleaseId
  if (!environment || !releaseId) return
  const known = await prisma.instance.findMany({ where: { releaseId }, orderBy: { createdAt: 'desc' } })
  const release = await prisma.release.findUniqueOrThrow({ where: { id: releaseId }, include: { artifact: true } })
  const { health, instances } = releaseConfig(release)
  let running = 0
  for (const instance of known.filter((i) => i.state !== 'stopped')) if (await adopt(deps, instance, health, signal)) running++
  if (running >= instances) return
  const spec = contentSpec(release.artifact)
  if (spec) return unpackAgain(deps, release, spec)
  if ((release.artifact.kind === 'image') !== (runtime.kind === 'docker')) return rebuild(deps, release)
  const starts = Array.from({ length: instances - running }, async () => {
    const leave = await deps.startGate.enter(signal)
    try {
      await startAgain(deps, environment, known[0], signal)
    } finally {
      leave()
    }
  })
  for (const result of await Promise.allSettled(starts)) if (result.status === 'rejected') throw result.reason
}

/** Starts a new instance of the live release and routes traffic to it when healthy. */
async function startAgain(deps: HealDeps, environment: Environment, last: Instance | undefined, signal: AbortSignal | undefined): Promise<void> {
  const restarts = (last?.restarts ?? -1) + 1
  const { instance, config } = await launchInstance(deps, {
    releaseId: environment.liveReleaseId ?? '',
    slot: (last?.slot as Slot | undefined) ?? 'blue',
    restarts,
    ...(signal ? { signal } : {}),
  })
  const publish = () => deps.bus.publish({ kind: 'instance', id: instance.id, teamId: environment.teamId, projectId: environment.projectId })
  await publish()
  try {
    await probe(deps, instance, config.health, signal)
  } catch (error) {
    await endUnhealthy(deps, instance.id)
    await publish()
    throw error
  }
  await routeTo(deps, instance)
  // No event marks the end of a crash loop: notify readers again when the instance has run long enough.
  if (restarts >= crashLoopAfter) setTimeout(publish, settledAfterMs + 1_000).unref()
  deps.logger.info({ environment: environment.id, instance: instance.id, restarts }, 'instance started again')
}

async function endUnhealthy({ prisma, runtime }: HealDeps, instanceId: string): Promise<void> {
  const observed = await runtime.inspect(instanceId).catch(() => null)
  await runtime.stop(instanceId, 5_000)
  await markStopped(prisma, instanceId, exitOf(observed))
}

async function routeTo(deps: HealDeps, { id, teamId, projectId }: Instance): Promise<void> {
  await deps.prisma.instance.update({ where: { id }, data: { state: 'healthy' } })
  await deps.routes.sync()
  await deps.bus.publish({ kind: 'instance', id, teamId, projectId })
}

/** Unpacks the files of a static site for the routers; rebuilds when the artifact is lost. */
async function unpackAgain(deps: HealDeps, release: Release & { artifact: Artifact }, spec: ContentSpec): Promise<void> {
  try {
    await deps.contents.ensure(artifactOf(release.artifact), spec)
  } catch (error) {
    // Retry later when the container engine does not answer. Rebuild when the artifact is gone, or is an image and this machine has no engine.
    const lost = isAppError(error) && error.code === 'ERR_NOT_FOUND'
    const unreadable = release.artifact.kind === 'image' && deps.runtime.kind !== 'docker'
    if (lost || unreadable) return rebuild(deps, release)
    throw error
  }
  await deps.routes.sync()
}

/** Ids of the releases that routers serve from files already unpacked. */
export async function releasesOfFiles(deps: Pick<HealDeps, 'prisma' | 'contents'>, releaseIds: string[]): Promise<Set<string>> {
  if (releaseIds.length === 0) return new Set()
  const releases = await deps.prisma.release.findMany({
    where: { id: { in: releaseIds } },
    select: { id: true, artifact: { select: { digest: true, content: true } } },
  })
  const served = releases.filter(({ artifact }) => {
    const spec = contentSpec(artifact)
    return spec !== null && deps.contents.locate(artifact.digest, spec) !== null
  })
  return new Set(served.map(({ id }) => id))
}

/** Rebuilds the same source when the artifact does not fit the runtime (containers or processes) that the installation now uses. */
async function rebuild(deps: HealDeps, release: { teamId: string; projectId: string; environmentId: string; deploymentId: string }): Promise<void> {
  const { teamId, projectId, environmentId } = release
  const db = scopeTo(deps.prisma, { teamId })
  const before = await db.deployment.findUniqueOrThrow({ where: { id: release.deploymentId } })
  const given = before.source as unknown as SourceSpec
  const source = given.kind === 'git' ? { ...given, ref: before.commitSha ?? given.ref } : given
  const { branch } = before
  const what = { teamId, projectId, environmentId, source, branch, repeats: before.id, triggeredBy: 'system', createdBy: 'Switchyard' } as const
  try {
    const id = await queueDeployment(deps.bus, db, what)
    deps.logger.warn(
      { environment: environmentId, deployment: id },
      `the runtime is ${deps.runtime.kind} now: building the live version again for it`,
    )
  } catch (error) {
    if (!isAppError(error) || error.code !== 'ERR_DEPLOYMENT_RUNNING') throw error
  }
}

/**
 * Adopts a running instance with its current address (a restarted engine assigns new addresses). Finishes the health check of an interrupted
 * start. False: the instance is gone, or was unhealthy and has been stopped.
 */
async function adopt(deps: HealDeps, instance: Instance, check: HealthCheck, signal?: AbortSignal): Promise<boolean> {
  const observed = await deps.runtime.inspect(instance.id)
  if (observed?.state === 'sleeping') await deps.runtime.wake(instance.id)
  if (!observed || observed.state === 'exited' || !observed.address) {
    await deps.runtime.stop(instance.id, 0)
    await markStopped(deps.prisma, instance.id, exitOf(observed))
    return false
  }
  const { host, port } = observed.address
  const adopted = await deps.prisma.instance.update({ where: { id: instance.id }, data: { host, port } })
  if (adopted.state !== 'starting') return true
  try {
    await probe(deps, adopted, check, signal)
  } catch (error) {
    if (signal?.aborted) throw error
    deps.logger.warn({ err: error, instance: instance.id }, 'an instance whose start was cut off is not healthy: starting another')
    await endUnhealthy(deps, instance.id)
    return false
  }
  await routeTo(deps, adopted)
  return true
}

async function probe(deps: HealDeps, instance: Instance, check: HealthCheck, signal?: AbortSignal): Promise<void> {
  if (!instance.host || !instance.port) throw new AppError('ERR_START', 'The instance started without an address.')
  const result = await deps.runtime.probe({ host: instance.host, port: instance.port }, check, {
    ...watchInstance(deps.runtime, instance.id),
    ...(signal ? { signal } : {}),
  })
  if (!result.healthy) throw new AppError('ERR_HEALTH_CHECK', `The instance did not become healthy again. ${result.reason ?? ''}`.trim())
}

export function exitOf(observed: ObservedInstance | null): Prisma.InputJsonObject {
  return observed?.exit ? { ...observed.exit } : { code: null, signal: null, outOfMemory: false }
}
