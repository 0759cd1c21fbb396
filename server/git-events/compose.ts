import type { Builder } from '@/builder/builder'
import { AppError } from '@/shared/errors'
import { scopeTo } from '../database/scope'
import { queueGitDeployment } from '../deployments/queue'
import type { ChangeBus } from '../events/bus'
import { openCredentials } from '../projects/repository'
import type { Secrets } from '../secrets/secrets'
import type { GitEventsDeps } from '.'
import type { GitDeployment, RepositoryOf } from './ports'

interface Parts extends Pick<GitEventsDeps, 'prisma' | 'pool' | 'logger' | 'dashboardUrl' | 'routesChanged'> {
  bus: ChangeBus
  secrets: Secrets
  builder: Pick<Builder, 'readHead'>
}

/** The events of Git hosts with the platform's own repositories and queue. */
export function gitEventDeps(parts: Parts): GitEventsDeps {
  return {
    ...parts,
    queue: (what) => queueCommit(parts, what),
    readHead: (project, branch, signal) => readHead(parts, project, branch, signal),
    settleMs: 10_000,
    giveUpMs: 600_000,
  }
}

async function readHead({ builder, secrets }: Parts, project: RepositoryOf, branch: string | null, signal: AbortSignal) {
  const { id, repository: url, allowPrivateNetwork } = project
  if (!url) throw new AppError('ERR_SOURCE', 'The project has no repository.', { step: 'source', nextAction: 'Set one in its settings.' })
  const credentials = await openCredentials(secrets, project, url)
  return builder.readHead(id, { kind: 'git', url, ref: branch, allowPrivateNetwork, credentials }, branch, signal)
}

/** Queues a deployment of one commit. */
async function queueCommit({ prisma, bus }: Parts, what: GitDeployment): Promise<{ deploymentId: string; isNew: boolean }> {
  const db = scopeTo(prisma, what)
  const project = await db.project.findUniqueOrThrow({ where: { id: what.projectId }, select: { repository: true, allowPrivateNetwork: true } })
  const { repository, allowPrivateNetwork } = project
  return queueGitDeployment(bus, db, { ...what, source: { kind: 'git', url: repository ?? '', ref: what.commitSha, allowPrivateNetwork } })
}
