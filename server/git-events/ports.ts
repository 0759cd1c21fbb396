import type { Logger } from 'pino'
import type { PrismaClient } from '../database/client'
import type { ChangeBus } from '../events/bus'

/** What deciding about events needs of the rest of the platform. */

export interface GitDeployment {
  teamId: string
  projectId: string
  environmentId: string
  branch: string
  commitSha: string
  commitMessage: string | null
  commitAuthor: string | null
  triggeredBy: 'git' | 'hook'
  createdBy: string
}

/** Project as far as its repository can be asked. */
export interface RepositoryOf {
  id: string
  teamId: string
  repository: string | null
  repositoryCredentials: Uint8Array | null
  allowPrivateNetwork: boolean
}

export interface GitEventDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  logger: Pick<Logger, 'warn'>
  /**
   * Queues a deployment of the commit, in the place of queued older ones of the branch. `isNew` false: the branch has this one already.
   * @throws ERR_CONFLICT when the environment is locked or closed
   */
  queue: (what: GitDeployment) => Promise<{ deploymentId: string; isNew: boolean }>
  /** Head of a branch as the repository has it now; of its default branch for null. null: there is no such branch. @throws AppError */
  readHead: (project: RepositoryOf, branch: string | null, signal: AbortSignal) => Promise<{ sha: string; branch: string | null } | null>
  /** Publishes the routes after a preview came, or went. */
  routesChanged: () => Promise<void>
  /** How long a delivery is waited for when the repository is ahead of what was delivered. */
  settleMs: number
  /** How long a repository that does not answer is asked again. */
  giveUpMs: number
}
