import type { BuildEvents, BuildOutcome, BuildStep, SourceSpec } from '@/builder/builder'
import type { Prisma } from '@/server/database/generated/client'
import type { Artifact, ResourceLimits } from '@/shared/release'
import { newId } from '@/shared/node/ids'
import { artifactOf } from '../instances/launch'
import { readVariables } from './variables'
import type { DeployDeps, DeployRun } from './run'

const GiB = 1024 ** 3
const buildLimits: ResourceLimits & { timeoutMs: number } = { memoryBytes: 4 * GiB, cpus: 2, pids: 1024, timeoutMs: 20 * 60_000 }

/** source → artifact, with every step recorded and every line kept. Returns the artifact's id. */
export async function buildArtifact(deps: DeployDeps, run: DeployRun): Promise<string> {
  const { deployment, record } = run
  const { teamId, projectId, environmentId } = deployment
  await record.move('BUILDING', { startedAt: deployment.startedAt ?? new Date(), attempts: { increment: 1 } })
  const project = await deps.prisma.project.findUniqueOrThrow({ where: { id: projectId, teamId } })
  const env = await readVariables(deps, { teamId, environmentId, scope: 'BUILD' })
  const outcome = await deps.builder.build(
    {
      installationId: deps.installationId,
      teamId,
      projectId,
      projectSlug: project.slug,
      deploymentId: deployment.id,
      source: deployment.source as unknown as SourceSpec,
      settings: {
        rootDirectory: project.rootDirectory,
        installCommand: project.installCommand,
        buildCommand: project.buildCommand,
        startCommand: project.startCommand,
        outputDirectory: project.outputDirectory,
      },
      env,
      target: deps.runtime.kind === 'docker' ? 'image' : 'bundle',
      limits: buildLimits,
      reuse: (buildKey) => findArtifact(deps, projectId, buildKey),
    },
    buildEvents(run),
    run.signal,
  )
  return recordArtifact(deps, run, outcome)
}

function buildEvents(run: DeployRun): BuildEvents {
  const open = new Map<BuildStep, bigint>()
  return {
    onLog: (line) => run.log.write(line),
    async onStepStart(step) {
      open.set(step, await run.record.beginStep(step))
    },
    async onStepEnd(step, outcome) {
      const id = open.get(step)
      if (id !== undefined) await run.record.endStep(id, outcome)
    },
  }
}

async function findArtifact(deps: DeployDeps, projectId: string, buildKey: string): Promise<Artifact | null> {
  const row = await deps.prisma.artifact.findFirst({ where: { projectId, buildKey, removedAt: null }, orderBy: { createdAt: 'desc' } })
  return row ? artifactOf(row) : null
}

async function recordArtifact(deps: DeployDeps, run: DeployRun, outcome: BuildOutcome): Promise<string> {
  const { teamId, projectId, id: deploymentId } = run.deployment
  const { artifact, plan, source, report } = outcome
  return run.record.fenced(async (tx) => {
    const known = await tx.artifact.findFirst({ where: { projectId, teamId, digest: artifact.digest, buildKey: outcome.buildKey, removedAt: null } })
    const row =
      known ??
      (await tx.artifact.create({
        data: {
          id: newId(),
          teamId,
          projectId,
          kind: artifact.kind,
          digest: artifact.digest,
          buildKey: outcome.buildKey,
          sizeBytes: artifact.sizeBytes,
          framework: artifact.framework,
          metadata: { start: artifact.start, port: artifact.port, healthCheckPath: artifact.healthCheckPath },
        },
      }))
    await tx.project.update({ where: { id: projectId, teamId }, data: { framework: artifact.framework } })
    await tx.deployment.update({
      where: { id: deploymentId, teamId },
      data: {
        artifactId: row.id,
        buildKey: outcome.buildKey,
        framework: artifact.framework,
        plan: { ...plan, summary: report.summary || plan.summary } as unknown as Prisma.InputJsonObject,
        ...(source.commit
          ? { commitSha: source.commit.sha, commitMessage: source.commit.message, commitAuthor: source.commit.author, branch: source.commit.branch }
          : {}),
      },
    })
    return row.id
  })
}
