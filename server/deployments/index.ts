import type { z } from 'zod'
import type { Builder } from '@/builder/builder'
import type { DeploymentComparison } from '@/shared/comparison'
import { AppError } from '@/shared/errors'
import type { DeploymentStatus } from '@/shared/states'
import { deploymentTraits } from '@/shared/states'
import type { DeploymentSummary, DeploymentView, deploymentInput, LogLineView } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import type { Actor } from '../actor'
import type { PrismaClient } from '../database/client'
import type { Page } from '../database/page'
import { pageArguments, pageOf, requireCursor } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { Disk } from '../disk/disk'
import type { ChangeBus } from '../events/bus'
import { readHealth } from '../instances/health'
import { artifactOf } from '../instances/launch'
import { requireProject } from '../projects/read'
import type { Secrets } from '../secrets/secrets'
import { cancelDeployment } from './cancel'
import { type Comparison, compareDeployments } from './compare'
import { createDeployment } from './create'
import { readLogs } from './logs'
import { type Edge, liveReleasesOf, presentDeployment, presentSummary, summaryInclude, viewInclude } from './present'
import { promoteDeployment, redeployArtifact, restartProject, rollBackProject, rollBackTo } from './release'

/** 1 GiB: a larger upload is usually a mistake (node_modules, a database dump). */
const maxUploadBytes = 1024 ** 3
const maxPage = 100

export interface DeploymentsDeps {
  prisma: PrismaClient
  bus: ChangeBus
  storage: BlobStore
  builder: Builder
  disk: Pick<Disk, 'refuseWhenTight'>
  edge: Edge
  secrets: Pick<Secrets, 'open'>
}

export interface DeploymentFilter {
  projectId?: string | undefined
  status?: DeploymentStatus | undefined
  /** Name or id. */
  environment?: string | undefined
  branch?: string | undefined
  /** Author of the commit, or who asked for the deployment. */
  author?: string | undefined
}

export interface Deployments {
  /** Records a PENDING deployment before returning. @throws ERR_DEPLOYMENT_RUNNING (409) */
  create(actor: Actor, input: z.output<typeof deploymentInput>): Promise<DeploymentView>
  list(actor: Actor, filter: DeploymentFilter, page: Page): Promise<{ items: DeploymentSummary[]; nextCursor: string | null }>
  get(actor: Actor, deploymentId: string): Promise<DeploymentView>
  cancel(actor: Actor, deploymentId: string): Promise<DeploymentView>
  /** The release of this deployment goes live again in its environment. Returns the new deployment's id, as the next four do. */
  rollBack(actor: Actor, deploymentId: string): Promise<string>
  /** Returns to the version before the live one. */
  rollBackProject(actor: Actor, project: string, environment?: string): Promise<string>
  /** Releases the artifact in another environment; default: production. */
  promote(actor: Actor, deploymentId: string, environment?: string): Promise<string>
  /** Releases the artifact again with the variables and settings of now. */
  redeploy(actor: Actor, deploymentId: string): Promise<string>
  /** Starts the live version anew. */
  restart(actor: Actor, project: string, environment?: string): Promise<string>
  /** What differs between two versions, and what a release of the first one would change. */
  compare(actor: Actor, wish: Comparison): Promise<DeploymentComparison>
  /** Keeps the artifact until it is unpinned. */
  pin(actor: Actor, deploymentId: string, pinned: boolean): Promise<DeploymentView>
  /**
   * Yields lines after `after`; with `follow`, also new lines. Ends when the deployment is live or ended (`until: 'settled'`, the default), or
   * when it no longer serves (`'stopped'`, which includes the app's output).
   */
  logs(
    actor: Actor,
    deploymentId: string,
    query: {
      after?: string | undefined
      tail?: number | undefined
      follow: boolean
      until?: 'settled' | 'stopped' | undefined
      signal: AbortSignal
    },
  ): AsyncIterable<LogLineView>
  /** Yields the current view immediately, then after each change, until the deployment has ended. */
  watch(actor: Actor, deploymentId: string, signal: AbortSignal): AsyncIterable<DeploymentView>
  /** Streams the artifact as a zip file. */
  download(actor: Actor, deploymentId: string): Promise<{ fileName: string; stream: NodeJS.ReadableStream }>
  /** Stores an uploaded tar or tar.gz for a later `create({source})`. */
  uploadSource(actor: Actor, content: AsyncIterable<Uint8Array>): Promise<{ source: string; sizeBytes: number }>
}

/** Use-cases of deployments. */
export function createDeployments(deps: DeploymentsDeps): Deployments {
  const { prisma, bus, edge } = deps
  const view = (actor: Actor, deploymentId: string) => readDeployment(scopeTo(prisma, actor), deploymentId, edge)
  return {
    async create(actor, input) {
      const { deploymentId } = await createDeployment(deps, actor, input)
      return view(actor, deploymentId)
    },
    async list(actor, filter, page) {
      const limit = Math.min(maxPage, page.limit)
      const db = scopeTo(prisma, actor)
      const projectId = filter.projectId && (await requireProject(db, filter.projectId)).id
      await requireCursor(page, (id) => db.deployment.count({ where: { id } }))
      const found = await db.deployment.findMany({
        where: {
          ...(projectId ? { projectId } : {}),
          ...(filter.status ? { status: filter.status } : {}),
          ...(filter.branch ? { branch: filter.branch } : {}),
          ...(filter.environment ? { environment: { OR: [{ id: filter.environment }, { name: filter.environment }] } } : {}),
          ...(filter.author
            ? {
                OR: [
                  { commitAuthor: { contains: filter.author, mode: 'insensitive' as const } },
                  { createdBy: { contains: filter.author, mode: 'insensitive' as const } },
                ],
              }
            : {}),
        },
        include: summaryInclude,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...pageArguments({ ...page, limit }),
      })
      const { rows, nextCursor } = pageOf(found, limit)
      const health = await readHealth(db, liveReleasesOf(rows))
      return { items: rows.map((row) => presentSummary(row, edge, health)), nextCursor }
    },
    get: view,
    async cancel(actor, deploymentId) {
      await cancelDeployment(deps, actor, deploymentId)
      return view(actor, deploymentId)
    },
    rollBack: (actor, deploymentId) => rollBackTo(deps, actor, deploymentId),
    rollBackProject: (actor, project, environment) => rollBackProject(deps, actor, project, environment),
    promote: (actor, deploymentId, environment) => promoteDeployment(deps, actor, deploymentId, environment),
    redeploy: (actor, deploymentId) => redeployArtifact(deps, actor, deploymentId),
    restart: (actor, project, environment) => restartProject(deps, actor, project, environment),
    compare: (actor, wish) => compareDeployments(deps, scopeTo(prisma, actor), wish),
    async pin(actor, deploymentId, pinned) {
      const db = scopeTo(prisma, actor)
      await view(actor, deploymentId)
      await db.deployment.update({
        where: { id: deploymentId },
        data: { pinnedAt: pinned ? new Date() : null, pinnedBy: pinned ? actor.name : null },
      })
      return view(actor, deploymentId)
    },
    logs: (actor, deploymentId, query) => readLogs(deps, actor, deploymentId, query),
    watch: (actor, deploymentId, signal) => watchDeployment(bus, () => view(actor, deploymentId), deploymentId, signal),
    download: (actor, deploymentId) => downloadArtifact(deps, actor, deploymentId),
    uploadSource: (actor, content) => uploadSource(deps, actor, content),
  }
}

/** Stores the archive and records the team's claim: another team cannot deploy it by its digest. */
async function uploadSource(deps: DeploymentsDeps, actor: Actor, content: AsyncIterable<Uint8Array>): ReturnType<Deployments['uploadSource']> {
  await deps.disk.refuseWhenTight('The upload was not taken')
  const { digest, sizeBytes } = await deps.storage.put(content, { maxBytes: maxUploadBytes })
  const { teamId } = actor
  await scopeTo(deps.prisma, actor).upload.upsert({
    where: { teamId_digest: { teamId, digest } },
    create: { teamId, digest, sizeBytes, createdBy: actor.name },
    update: { createdBy: actor.name, createdAt: new Date() },
  })
  return { source: digest, sizeBytes }
}

async function readDeployment(db: ScopedClient, deploymentId: string, edge: Edge): Promise<DeploymentView> {
  const row = await db.deployment.findUnique({ where: { id: deploymentId }, include: viewInclude })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such deployment in this team.')
  const artifact = row.artifactId ? await db.artifact.findUnique({ where: { id: row.artifactId } }) : null
  return presentDeployment(row, artifact, edge, await readHealth(db, liveReleasesOf([row])))
}

async function* watchDeployment(bus: ChangeBus, read: () => Promise<DeploymentView>, id: string, outer: AbortSignal): AsyncGenerator<DeploymentView> {
  const done = new AbortController()
  const signal = AbortSignal.any([outer, done.signal])
  const changes = bus.listen((c) => c.kind === 'deployment' && c.id === id, signal)[Symbol.asyncIterator]()
  try {
    for (;;) {
      const view = await read()
      yield view
      const { running, live } = deploymentTraits[view.status]
      // A live deployment changes again when it is superseded (drain, stop): keep watching.
      if (!running && !live) return
      if ((await changes.next()).done) return
    }
  } finally {
    done.abort()
  }
}

async function downloadArtifact(deps: DeploymentsDeps, actor: Actor, deploymentId: string): ReturnType<Deployments['download']> {
  const db = scopeTo(deps.prisma, actor)
  const deployment = await db.deployment.findUnique({ where: { id: deploymentId }, include: summaryInclude })
  if (!deployment) throw new AppError('ERR_NOT_FOUND', 'There is no such deployment in this team.')
  const artifact = deployment.artifactId ? await db.artifact.findUnique({ where: { id: deployment.artifactId } }) : null
  if (!artifact || artifact.removedAt)
    throw new AppError(
      'ERR_NOT_FOUND',
      artifact ? 'The artifact of this deployment has been removed to free disk space.' : 'This deployment has made no artifact.',
      {
        nextAction: artifact ? 'Deploy the same commit again to build it anew.' : 'Look at the deployment’s log for how far it came.',
      },
    )
  return { fileName: `${deployment.environment.project.slug}-${deploymentId}.zip`, stream: await deps.builder.download(artifactOf(artifact)) }
}
