import type { ProbeOptions, Runtime } from '@/runtime/driver'
import type { Instance, Prisma, PrismaClient, Release } from '@/server/database/generated/client'
import { newId } from '@/shared/node/ids'
import type { Artifact, HealthCheck, ResourceLimits, Slot } from '@/shared/release'
import type { Secrets } from '../secrets/secrets'

/** Settings frozen in a release in addition to artifact and variables. */
export interface ReleaseConfig {
  health: HealthCheck
  limits: ResourceLimits
  /** Instances that run of it. */
  instances: number
}
export const releaseConfig = (release: Pick<Release, 'config'>): ReleaseConfig => release.config as unknown as ReleaseConfig

type ArtifactRow = { kind: string; digest: string; sizeBytes: bigint; framework: string; metadata: unknown }
export function artifactOf(row: ArtifactRow): Artifact {
  const metadata = row.metadata as Pick<Artifact, 'start' | 'port' | 'healthCheckPath' | 'nodeVersion' | 'packageManager'>
  return {
    kind: row.kind as Artifact['kind'],
    digest: row.digest,
    sizeBytes: Number(row.sizeBytes),
    framework: row.framework as Artifact['framework'],
    start: metadata.start,
    port: metadata.port,
    healthCheckPath: metadata.healthCheckPath,
    nodeVersion: metadata.nodeVersion ?? null,
    packageManager: metadata.packageManager ?? null,
  }
}

export interface LaunchDeps {
  prisma: PrismaClient
  runtime: Runtime
  secrets: Secrets
  installationId: string
  /** Largest request head that the routers forward, in bytes. */
  maxHeaderBytes: number
}

/** Starts an instance of a release. Writes the row before the side effect; a failed start leaves a `stopped` row and no running instance. */
export async function launchInstance(
  deps: LaunchDeps,
  what: { releaseId: string; slot: Slot; restarts?: number; signal?: AbortSignal },
): Promise<{ instance: Instance; config: ReleaseConfig }> {
  const { prisma, runtime } = deps
  const release = await prisma.release.findUniqueOrThrow({
    where: { id: what.releaseId },
    include: { artifact: true, environment: { include: { project: { select: { slug: true } } } } },
  })
  const config = releaseConfig(release)
  const id = newId()
  const { teamId, projectId, environmentId, deploymentId } = release
  await prisma.instance.create({
    data: {
      id,
      teamId,
      projectId,
      environmentId,
      deploymentId,
      releaseId: release.id,
      runtime: runtime.kind,
      slot: what.slot,
      restarts: what.restarts ?? 0,
    },
  })
  const env = JSON.parse(await deps.secrets.open(teamId, release.variables)) as Record<string, string>
  try {
    const observed = await runtime.start(
      {
        owner: {
          installationId: deps.installationId,
          teamId,
          projectId,
          projectSlug: release.environment.project.slug,
          environmentId,
          deploymentId,
          instanceId: id,
          slot: what.slot,
        },
        artifact: artifactOf(release.artifact),
        env,
        limits: config.limits,
        maxHeaderBytes: deps.maxHeaderBytes,
      },
      what.signal,
    )
    const instance = await prisma.instance.update({
      where: { id },
      data: { host: observed.address?.host ?? null, port: observed.address?.port ?? null, startedAt: observed.startedAt ?? new Date() },
    })
    return { instance, config }
  } catch (error) {
    await markStopped(prisma, id, null)
    throw error
  }
}

export async function markStopped(prisma: PrismaClient, instanceId: string, exit: Prisma.InputJsonObject | null): Promise<void> {
  await prisma.instance.updateMany({
    where: { id: instanceId, state: { not: 'stopped' } },
    data: { state: 'stopped', stoppedAt: new Date(), ...(exit ? { exit } : {}) },
  })
}

/** Gives a health probe the instance's state: running, or its exit status. */
export function watchInstance(
  runtime: Pick<Runtime, 'inspect' | 'listeners' | 'untilExit'>,
  instanceId: string,
): Pick<ProbeOptions, 'stillRunning' | 'untilExit' | 'exit' | 'listeners'> {
  return {
    stillRunning: async () => (await runtime.inspect(instanceId))?.state === 'running',
    untilExit: (signal) => runtime.untilExit(instanceId, signal),
    listeners: () => runtime.listeners(instanceId),
    exit: async () => (await runtime.inspect(instanceId))?.exit ?? null,
  }
}
