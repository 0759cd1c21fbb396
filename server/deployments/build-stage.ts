import type { BuildEvents, BuildOutcome, BuildStep, SourceSpec } from '@/builder/builder'
import type { Prisma } from '@/server/database/generated/client'
import { elsewhereOf } from '@/shared/build-plan'
import { newId } from '@/shared/node/ids'
import type { Artifact, ResourceLimits } from '@/shared/release'
import { artifactOf } from '../instances/launch'
import { openCredentials, secretsOf } from '../projects/repository'
import { isArtifactThere } from './artifact-lock'
import type { DeployDeps, DeployRun } from './deploy-run'
import { readVariables } from './variables'

const GiB = 1024 ** 3
const buildLimits: ResourceLimits & { timeoutMs: number } = { memoryBytes: 4 * GiB, cpus: 2, pids: 1024, timeoutMs: 20 * 60_000 }

/** Builds the artifact from the source, recording every step and log line. Returns the artifact's id. */
export async function buildArtifact(deps: DeployDeps, run: DeployRun): Promise<string> {
  const { deployment, record } = run
  const { teamId, projectId, environmentId } = deployment
  await record.move('BUILDING', { startedAt: deployment.startedAt ?? new Date(), attempts: { increment: 1 } })
  const project = await run.db.project.findUniqueOrThrow({ where: { id: projectId } })
  const env = await readVariables(run.db, deps.secrets, { teamId, environmentId, scope: 'BUILD' })
  run.mask.learn(env)
  const source = await sourceToFetch(deps, run, project)
  const { fork } = await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { fork: true } })
  if (fork)
    run.log.write({
      step: 'source',
      stream: 'system',
      text: 'The request comes from a fork: submodules and Git LFS are not fetched, caches are its own.',
    })
  const build = () =>
    deps.builder.build(
      {
        installationId: deps.installationId,
        teamId,
        projectId,
        projectSlug: project.slug,
        deploymentId: deployment.id,
        source,
        settings: {
          rootDirectory: project.rootDirectory,
          installCommand: project.installCommand,
          buildCommand: project.buildCommand,
          startCommand: project.startCommand,
          outputDirectory: project.outputDirectory,
          // Their addresses are the stranger's, and the repository's credentials would be sent to them.
          submodules: fork ? 'ignore' : elsewhereOf(project.submodules),
          lfs: fork ? 'ignore' : elsewhereOf(project.lfs),
        },
        env,
        target: deps.runtime.kind === 'docker' ? 'image' : 'bundle',
        limits: buildLimits,
        noCache: deployment.noCache,
        isolatedAs: fork ? `fork-${environmentId}` : null,
        // A stranger's build may have written anything into its result.
        reuse: async (buildKey) => (fork ? null : findArtifact(run, buildKey)),
      },
      buildEvents(run),
      run.signal,
    )
  const outcome = await build()
  const id = await recordArtifact(run, outcome)
  if (await isArtifactThere(deps, outcome.artifact)) return id
  // The clean-up of an older deployment with the same content removed the artifact before this deployment recorded it.
  run.log.write({ step: 'package', stream: 'system', text: 'The artifact was removed by a clean-up at this moment: it is made again.' })
  await run.record.fenced((tx) => tx.artifact.update({ where: { id }, data: { removedAt: new Date() } }))
  return recordArtifact(run, await build())
}

/** The recorded source plus its decrypted credentials. The result must not be logged or stored. */
async function sourceToFetch(deps: DeployDeps, run: DeployRun, project: Parameters<typeof openCredentials>[1]): Promise<SourceSpec> {
  const source = run.deployment.source as unknown as SourceSpec
  if (source.kind !== 'git') return source
  const credentials = await openCredentials(deps.secrets, project, source.url)
  if (!credentials) return source
  run.mask.learn(secretsOf(credentials))
  return { ...source, credentials }
}

function buildEvents(run: DeployRun): BuildEvents {
  const open = new Map<BuildStep, bigint>()
  return {
    onLog: (line) => run.log.write(line),
    async onSource({ commit }) {
      if (!commit) return
      // A commit named by its id has no branch: keep the branch of the repeated deployment.
      const branch = commit.branch ?? run.deployment.branch
      await run.record.patch({ commitSha: commit.sha, commitMessage: commit.message, commitAuthor: commit.author, branch })
    },
    async onPlan(plan) {
      await run.record.patch({ plan: plan as unknown as Prisma.InputJsonObject })
    },
    async onStepStart(step) {
      open.set(step, await run.record.beginStep(step))
    },
    async onStepEnd(step, outcome) {
      const id = open.get(step)
      if (id !== undefined) await run.record.endStep(id, outcome)
    },
  }
}

/** An artifact with this key that was not built from a fork's request. */
async function findArtifact(run: DeployRun, buildKey: string): Promise<Artifact | null> {
  const { projectId } = run.deployment
  const rows = await run.db.artifact.findMany({ where: { projectId, buildKey, removedAt: null }, orderBy: { createdAt: 'desc' } })
  for (const row of rows) {
    const built = { artifactId: row.id, kind: 'BUILD' as const }
    if ((await run.db.deployment.count({ where: { ...built, environment: { fork: true } } })) === 0) return artifactOf(row)
  }
  return null
}

async function recordArtifact(run: DeployRun, outcome: BuildOutcome): Promise<string> {
  const { teamId, projectId, id: deploymentId } = run.deployment
  const { artifact, plan, report } = outcome
  return run.record.fenced(async (tx) => {
    const known = await tx.artifact.findFirst({ where: { projectId, digest: artifact.digest, buildKey: outcome.buildKey, removedAt: null } })
    const { staticSite } = plan
    const edgePolicy = Object.keys(outcome.edgePolicy).length > 0 ? (outcome.edgePolicy as unknown as Prisma.InputJsonObject) : null
    const content = staticSite && { root: staticSite.directory, spa: staticSite.spaFallback }
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
          metadata: {
            start: artifact.start,
            port: artifact.port,
            healthCheckPath: artifact.healthCheckPath,
            nodeVersion: artifact.nodeVersion,
            packageManager: artifact.packageManager,
          },
          ...(content ? { content } : {}),
          ...(edgePolicy ? { edgePolicy } : {}),
        },
      }))
    // Made before rules were read.
    if (edgePolicy && known && known.edgePolicy === null) await tx.artifact.update({ where: { id: row.id }, data: { edgePolicy } })
    // Made before routers served files: from its next release on they do.
    if (content && known && known.content === null) await tx.artifact.update({ where: { id: row.id }, data: { content } })
    await tx.project.update({ where: { id: projectId }, data: { framework: artifact.framework } })
    await tx.deployment.update({
      where: { id: deploymentId },
      data: {
        artifactId: row.id,
        buildKey: outcome.buildKey,
        framework: artifact.framework,
        plan: { ...plan, summary: report.summary || plan.summary } as unknown as Prisma.InputJsonObject,
      },
    })
    return row.id
  })
}
